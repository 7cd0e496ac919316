// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/row_costs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "dsn/platform/power.h"
#include "fakes/tiny_space.h"
#include "synthetic.h"

using dsn::Gene;
using dsn::GeneSpace;
using dsn::Lut;
using dsn::OperatingPoint;
using dsn::RowCosts;
using dsn::fakes::code_of;

namespace {

const OperatingPoint kFast{"cpu", 1, 1e9, 1}, kSlow{"cpu", 1, 5e8, 1};

// Two frequencies: kernels of 5 suffer more from the lower one.
Lut two_points(const dsn::SearchSpace& space) {
  Lut lut = dsn::fakes::formula_lut(space, dsn::fakes::one_cluster({5e8, 1e9}), kFast);
  for (auto& [key, at] : lut.units) {
    dsn::LutEntry slow = at.at(kFast);
    slow.latency_s *= key.find("-k5-") != std::string::npos ? 2.0 : 0.9;
    at[kSlow] = slow;
  }
  return lut;
}

double value(const dsn::RowFunction& of, const GeneSpace& genes, const dsn::SubnetConfig& config) {
  std::vector<Gene> row(genes.size());
  genes.write(config, row.data());
  double out = 0;
  of.values(row.data(), 1, &out);
  return out;
}

dsn::Platform powered(double base_w, double idle_w, double busy_w) {
  dsn::Json document = dsn::fakes::one_cluster().document;
  const dsn::Json origin = {{"origin", "measured"}, {"source", "the test"}};
  document["power"] = origin;
  document["power"].update({{"rail", "a wire"}, {"base_power_w", base_w}});
  document["clusters"][0]["power"] = origin;
  document["clusters"][0]["opps"][0].update({{"idle_power_w", idle_w}, {"busy_power_w", busy_w}});
  return dsn::parse_platform(document, "board.json");
}

}  // namespace

TEST_CASE("RowCosts: latency is the worst of the operating points, MACs and memory those of the network") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const Lut lut = two_points(space);
  const GeneSpace genes(space);
  const std::vector<OperatingPoint> points{kFast, kSlow};
  const RowCosts costs(genes, lut, points);
  int slower = 0;
  for (const dsn::SubnetConfig& config : dsn::fakes::enumerate(space)) {
    const dsn::Network network = dsn::make_network(space, config);
    const double fast = lut.predict_latency(network, kFast), slow = lut.predict_latency(network, kSlow);
    slower += slow > fast ? 1 : 0;
    CHECK(value(costs.latency(), genes, config) == doctest::Approx(std::max(fast, slow)).epsilon(1e-12));
    CHECK(value(costs.latency_at(1), genes, config) == doctest::Approx(slow).epsilon(1e-12));
    CHECK(value(costs.macs(), genes, config) == static_cast<double>(network.macs()));
    CHECK(value(costs.params(), genes, config) == static_cast<double>(network.params()));
    CHECK(value(costs.memory(), genes, config) == static_cast<double>(dsn::peak_activation_bytes(network)));
  }
  CHECK(slower > 0);
  CHECK(slower < 800);
  const std::vector<OperatingPoint> unknown{{"gpu", 1, 1e9, 1}};
  CHECK(code_of([&] { const RowCosts none(genes, lut, unknown); }, "gpu") == dsn::ErrorCode::not_found);
}

TEST_CASE("peak_activation_bytes: a block holds its input where it adds it, and two wide maps") {
  dsn::Unit unit;
  unit.kind = dsn::UnitKind::mbconv;
  unit.in_channels = 8;
  unit.mid_channels = 32;
  unit.out_channels = 8;
  unit.in_size = unit.out_size = 10;
  unit.expands = true;
  CHECK(dsn::peak_activation_bytes(unit) == 4 * 100 * (32 + 32));
  unit.residual = true;
  CHECK(dsn::peak_activation_bytes(unit) == 4 * 100 * (8 + 32 + 32));
  unit.residual = false;
  unit.out_size = 5;
  CHECK(dsn::peak_activation_bytes(unit) == 4 * (32 * 100 + 32 * 25));
  dsn::Unit stem;
  stem.in_channels = 3;
  stem.out_channels = 16;
  stem.in_size = 20;
  stem.out_size = 10;
  CHECK(dsn::peak_activation_bytes(stem) == 4 * (3 * 400 + 16 * 100));
}

TEST_CASE(
    "RowCosts: energy is the table's, else the platform's power for as long, else unknown with a reason") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const GeneSpace genes(space);
  Lut lut = dsn::fakes::formula_lut(space, dsn::fakes::one_cluster(), kFast);
  const std::vector<OperatingPoint> points{kFast};
  const RowCosts unknown(genes, lut, points);
  CHECK(unknown.energy() == nullptr);
  CHECK(unknown.energy_reason().find("no energy of units") != std::string::npos);

  const dsn::Platform board = powered(1.0, 0.5, 2.5);  // two cores: one busy draws half
  CHECK(dsn::modelled_power_w(board, "cpu", 1e9, 1) == doctest::Approx(2.5));
  CHECK_FALSE(dsn::modelled_power_w(board, "cpu", 2e9, 1).has_value());
  CHECK_FALSE(dsn::modelled_power_w(board, "gpu", 1e9, 1).has_value());
  lut.platform_document = board.document;
  const RowCosts modelled(genes, lut, points);
  const double latency = lut.predict_latency(dsn::make_network(space, space.largest()), kFast);
  REQUIRE(modelled.energy() != nullptr);
  CHECK(modelled.energy_origin() == dsn::Origin::modelled);
  CHECK(value(*modelled.energy(), genes, space.largest()) == doctest::Approx(2.5 * latency));

  for (auto& [key, at] : lut.units) at.at(kFast).energy_j = 3e-3;
  const RowCosts measured(genes, lut, points);
  CHECK(measured.energy_origin() == dsn::Origin::measured);
  const auto units = static_cast<double>(dsn::make_network(space, space.largest()).units.size());
  CHECK(value(*measured.energy(), genes, space.largest()) == doctest::Approx(3e-3 * units));
  lut.units.begin()->second.at(kFast).energy_j = std::nullopt;
  CHECK(RowCosts(genes, lut, points).energy_reason().find(lut.units.begin()->first) != std::string::npos);
}

// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/genes.h"

#include <doctest/doctest.h>

#include "fakes/tiny_space.h"
#include "synthetic.h"

using dsn::Gene;
using dsn::GeneSpace;
using dsn::SubnetConfig;
using dsn::fakes::code_of;

TEST_CASE("GeneSpace: rows and sub-networks are the same thing, in every shipped space") {
  for (const std::string& name : dsn::SearchSpace::shipped()) {
    CAPTURE(name);
    const dsn::SearchSpace space = dsn::SearchSpace::load(name);
    const GeneSpace genes(space);
    dsn::Rng rng(3);
    std::vector<Gene> row(genes.size()), again(genes.size());
    for (int i = 0; i < 50; ++i) {
      genes.draw(rng, row.data());
      const SubnetConfig config = genes.config(row.data());
      CHECK(config == space.canonical(config));
      genes.write(config, again.data());
      CHECK(genes.config(again.data()) == config);
      genes.canonical(row.data());
      CHECK(row == again);
    }
    genes.write(space.largest(), row.data());
    CHECK(genes.config(row.data()) == space.largest());
  }
}

TEST_CASE("GeneSpace: only the resolutions that were asked for, and only those of the space") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("ofa-mbv3");
  const GeneSpace genes(space, {160, 224});
  CHECK(genes.options(GeneSpace::kResolution) == 2);
  std::vector<Gene> row(genes.size());
  SubnetConfig config = space.largest();
  CHECK_NOTHROW(genes.write(config, row.data()));
  config.r = 192;
  CHECK(code_of([&] { genes.write(config, row.data()); }, "resolution 192") == dsn::ErrorCode::bad_usage);
  CHECK(code_of([&] { const GeneSpace none(space, {150}); }, "resolution 150") == dsn::ErrorCode::bad_usage);
}

TEST_CASE("UnitSums: the sum over a network's units, for every sub-network") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const GeneSpace genes(space);
  const dsn::UnitCost cost = [](const dsn::Unit& unit, int resolution) {
    return dsn::fakes::unit_formula(unit) * (resolution == 16 ? 1.5 : 1);
  };
  const dsn::UnitSums sums(genes, cost, {2.0, 1e-3});
  const auto all = dsn::fakes::enumerate(space);
  std::vector<Gene> rows(all.size() * genes.size());
  for (std::size_t i = 0; i < all.size(); ++i) genes.write(all[i], rows.data() + i * genes.size());
  std::vector<double> found(all.size());
  sums.values(rows.data(), all.size(), found.data());
  for (std::size_t i = 0; i < all.size(); ++i) {
    double sum = 0;
    for (const dsn::Unit& unit : dsn::make_network(space, all[i]).units) sum += cost(unit, all[i].r);
    CHECK(found[i] == doctest::Approx(2 * sum + 1e-3).epsilon(1e-12));
  }
}

TEST_CASE("UnitSums: elastic widths are refused, as a block's cost then depends on its neighbours") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("ofa-resnet50");
  const GeneSpace genes(space);
  CHECK(code_of([&] { const dsn::UnitSums sums(genes, [](const dsn::Unit&, int) { return 1.0; }); },
                "elastic width") == dsn::ErrorCode::unsupported);
}

// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <array>
#include <string>

#include "../fakes/small_family.h"
#include "dsn/core/error.h"
#include "dsn/runtime/latency_fit.h"

using namespace dsn;
using namespace dsn::fakes;

namespace {

// The board's law: 3 million cycles and 1 ms, times the level's size.
double law(double freq_hz, int level) {
  return (3e6 / freq_hz + 1e-3) * (level + 1);
}

Platform four_opps() {
  Platform platform;
  platform.name = "board";
  platform.clusters.push_back(cluster_of("big", 4, {0.5e9, 1.0e9, 1.5e9, 2.0e9}));
  return platform;
}

Lut measured_at(const std::vector<double>& freqs_hz, int levels = 2) {
  Lut lut;
  for (int level = 0; level < levels; ++level)
    for (const double freq_hz : freqs_hz) add_row(lut, level, {"big", 2, freq_hz, 1}, law(freq_hz, level));
  return lut;
}

std::string message_of(const Family& family, const Lut& lut, const Platform& platform, ErrorCode expected,
                       int threads = 0) {
  try {
    const CostTable table(family, lut, platform, threads);
  } catch (const Error& error) {
    CHECK(error.code() == expected);
    return error.message();
  }
  FAIL("no error");
  return {};
}

}  // namespace

TEST_CASE("fit_latency: finds A and B of an exact law") {
  const std::array<double, 3> freqs = {0.5e9, 1e9, 2e9};
  const std::array<double, 3> latencies = {law(0.5e9, 0), law(1e9, 0), law(2e9, 0)};
  const LatencyFit fit = fit_latency(freqs, latencies);
  CHECK(fit.cycles == doctest::Approx(3e6));
  CHECK(fit.fixed_s == doctest::Approx(1e-3));
  CHECK(fit.largest_error < 1e-9);
}

TEST_CASE("fit_latency: neither part ever becomes negative") {
  const std::array<double, 2> freqs = {1e9, 2e9};
  const std::array<double, 2> superlinear = {10e-3, 4e-3};  // B would be -2 ms
  const LatencyFit fast = fit_latency(freqs, superlinear);
  CHECK(fast.fixed_s == 0);
  CHECK(fast.cycles > 0);
  CHECK(fast.largest_error > 0.1);
  const std::array<double, 2> rising = {4e-3, 5e-3};  // A would be negative
  const LatencyFit slow = fit_latency(freqs, rising);
  CHECK(slow.cycles == 0);
  CHECK(slow.fixed_s > 4e-3);
  CHECK(slow.fixed_s < 5e-3);
}

TEST_CASE("CostTable: a machine of unknown frequency has one measured OPP per placement") {
  const CostTable costs = plain_costs();
  REQUIRE(costs.placements().size() == 1);
  CHECK(costs.placements()[0].threads == 1);
  CHECK(costs.placement_name(0) == "cpu, 1 thread");
  CHECK(costs.levels() == 6);
  CHECK(costs.opps(0) == 1);
  CHECK(costs.latency(2, 0, 0) == 1.5e-3);
  CHECK(costs.spread(2, 0, 0) == doctest::Approx(0.02));
  CHECK(costs.accuracy(5) == 0.930);
  CHECK(costs.latency_origin(0, 0) == Origin::measured);
  CHECK_FALSE(costs.energy_known());
  CHECK(costs.energy(0, 0, 0) == 0);
}

TEST_CASE("CostTable: OPPs between measured ones follow T(f) = A/f + B and say that they are modelled") {
  const CostTable costs(family_of({0.9, 0.91}), measured_at({0.5e9, 2.0e9}), four_opps());
  REQUIRE(costs.opps(0) == 4);
  for (int level = 0; level < 2; ++level) {
    CHECK(costs.latency(level, 0, 1) == doctest::Approx(law(1.0e9, level)));
    CHECK(costs.latency(level, 0, 2) == doctest::Approx(law(1.5e9, level)));
    CHECK(costs.latency(level, 0, 3) == law(2.0e9, level));
  }
  CHECK(costs.latency_origin(0, 0) == Origin::measured);
  CHECK(costs.latency_origin(0, 1) == Origin::modelled);
  CHECK(costs.latency_origin(0, 3) == Origin::measured);
}

TEST_CASE("CostTable: a measured OPP is never replaced by the fit") {
  Lut lut = measured_at({0.5e9, 1.0e9, 2.0e9}, 1);
  add_row(lut, 0, {"big", 2, 1.0e9, 1}, 7e-3);  // far off the law
  const CostTable costs(family_of({0.9}), lut, four_opps());
  CHECK(costs.latency(0, 0, 1) == 7e-3);
}

TEST_CASE("CostTable: one measured frequency leaves the placement one OPP, which is no knob") {
  const CostTable costs(family_of({0.9, 0.91}), measured_at({1.5e9}), four_opps());
  CHECK(costs.opps(0) == 1);
  CHECK(costs.latency(1, 0, 3) == law(1.5e9, 1));
  CHECK(costs.latency(1, 0, 0) == law(1.5e9, 1));
}

TEST_CASE("CostTable: placements are the thread counts at which every level was measured") {
  Lut lut = plain_lut({1e-3, 2e-3});
  add_row(lut, 0, {"cpu", 2, 0, 1}, 0.6e-3);
  add_row(lut, 0, {"cpu", 4, 0, 1}, 0.5e-3);
  add_row(lut, 1, {"cpu", 2, 0, 1}, 1.2e-3);
  add_row(lut, 0, {"cpu", 1, 0, 8}, 5e-3);  // another batch size
  const CostTable costs(family_of({0.9, 0.91}), lut, plain_platform());
  REQUIRE(costs.placements().size() == 2);
  CHECK(costs.placements()[1].threads == 2);
  CHECK(costs.latency(1, 1, 0) == 1.2e-3);
  const CostTable single(family_of({0.9, 0.91}), lut, plain_platform(), 2);
  REQUIRE(single.placements().size() == 1);
  CHECK(single.placements()[0].threads == 2);
}

TEST_CASE("CostTable: a level without a row is not_found and names level and point") {
  const std::string message = message_of(family_of({0.9, 0.91, 0.92}), plain_lut({1e-3, 2e-3}),
                                         plain_platform(), ErrorCode::not_found);
  CHECK(message == "the LUT has no row of level 2 at (cpu, 1 thread)");
}

TEST_CASE("CostTable: a LUT of other clusters or thread counts says what there is") {
  Platform other = plain_platform();
  other.clusters[0].name = "gpu";
  CHECK(message_of(family_of({0.9}), plain_lut({1e-3}), other, ErrorCode::not_found).find("test board") !=
        std::string::npos);
  const std::string message =
      message_of(family_of({0.9}), plain_lut({1e-3}), plain_platform(), ErrorCode::not_found, 3);
  CHECK(message.find("3 threads") != std::string::npos);
  CHECK(message.find("cpu, 1 thread") != std::string::npos);
}

TEST_CASE(
    "CostTable: no levels, several frequencies on a machine of unknown frequency, too many placements") {
  message_of(Family{}, plain_lut({1e-3}), plain_platform(), ErrorCode::bad_input);
  Lut lut;
  add_row(lut, 0, {"cpu", 1, 1e9, 1}, 2e-3);
  add_row(lut, 0, {"cpu", 1, 2e9, 1}, 1e-3);
  message_of(family_of({0.9}), lut, plain_platform(), ErrorCode::mismatch);
  Lut many;
  for (int threads = 1; threads <= static_cast<int>(kMaxPlacements) + 1; ++threads)
    add_row(many, 0, {"cpu", threads, 0, 1}, 1e-3);
  message_of(family_of({0.9}), many, plain_platform(), ErrorCode::bad_input);
  Platform crowd = plain_platform();
  for (std::size_t i = 0; i < kMaxClusters; ++i)
    crowd.clusters.push_back(cluster_of("c" + std::to_string(i), 1, {0.0}));
  message_of(family_of({0.9}), plain_lut({1e-3}), crowd, ErrorCode::bad_input);
}

TEST_CASE("CostTable: energy from busy and idle power counts the cores in use") {
  Platform platform = four_opps();
  for (Opp& opp : platform.clusters[0].opps) {
    opp.idle_power_w = 0.5;
    opp.busy_power_w = 4.5 * opp.freq_hz / 2e9;
  }
  const CostTable costs(family_of({0.9}), measured_at({0.5e9, 2.0e9}, 1), platform);
  REQUIRE(costs.energy_known());
  // Two of four cores at 2 GHz: half of 4 W.
  CHECK(costs.energy(0, 0, 3) == doctest::Approx(2.0 * law(2e9, 0)));
  CHECK(costs.energy(0, 0, 1) == doctest::Approx(0.5 * (2.25 - 0.5) * law(1e9, 0)));
}

TEST_CASE(
    "CostTable: measured energy is less what idling would have taken, and corrects the model elsewhere") {
  Platform platform = four_opps();
  platform.base_power_w = 1;
  for (Opp& opp : platform.clusters[0].opps) {
    opp.idle_power_w = 0.5;
    opp.busy_power_w = 4.5;
  }
  Lut lut = measured_at({0.5e9, 2.0e9}, 1);
  for (auto& [point, entry] : lut.levels[0].at) entry.energy_j = (1.5 + 3.0) * entry.latency_s;
  const CostTable costs(family_of({0.9}), lut, platform);
  CHECK(costs.energy(0, 0, 3) == doctest::Approx(3.0 * law(2e9, 0)));
  // The model alone would say 2 W; measured was 3 W at both ends.
  CHECK(costs.energy(0, 0, 1) == doctest::Approx(3.0 * law(1e9, 0)));
  CHECK(costs.energy_known());
}

// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/run_energy.h"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "dsn/core/error.h"
#include "fake_sysfs.h"

using dsn::ClusterUse;
using dsn::RunEnergy;
using dsn::RunEnergyMeter;
using dsn::test::FakeSysfs;

namespace {

// 1 W base; "little": 0.1 W idle, 0.5 W busy (all four cores); "big": 0.2 and 1.2 W at its lower OPP, 0.4
// and 4.4 W at its upper.
dsn::Platform board(bool with_powers = true) {
  const auto opp = [&](double freq_hz, double idle_w, double busy_w) {
    dsn::Json row = {{"freq_hz", freq_hz}};
    if (with_powers) row.update({{"idle_power_w", idle_w}, {"busy_power_w", busy_w}});
    return row;
  };
  const auto cluster = [&](const char* name, const std::vector<int>& cpus, const char* knob, dsn::Json opps) {
    dsn::Json json = {
        {"name", name}, {"kind", "cpu"}, {"cpus", cpus}, {"knob", knob}, {"opps", std::move(opps)}};
    json["frequencies"] = {{"origin", "measured"}, {"source", "the test"}};
    if (with_powers) json["power"] = {{"origin", "measured"}, {"source", "the test"}};
    return json;
  };
  dsn::Json document = {{"schema", "dsn.platform"},
                        {"schema_version", 1},
                        {"name", "test board"},
                        {"clusters",
                         {cluster("little", {0, 1, 2, 3}, "policy0", {opp(1e9, 0.1, 0.5)}),
                          cluster("big", {4, 5}, "policy4", {opp(1e9, 0.2, 1.2), opp(2e9, 0.4, 4.4)})}}};
  if (with_powers)
    document["power"] = {
        {"rail", "5 V input"}, {"base_power_w", 1.0}, {"origin", "measured"}, {"source", "the test"}};
  return dsn::parse_platform(document, "board.json");
}

void add_rapl(const FakeSysfs& tree, const std::string& energy_uj) {
  const std::string base = "sys/class/powercap/intel-rapl:0/";
  tree.put(base + "name", "package-0\n");
  tree.put(base + "energy_uj", energy_uj + "\n");
  tree.put(base + "max_energy_range_uj", "10000000\n");
}

}  // namespace

TEST_CASE("modelled_energy: base and idle power for the whole time, busy cores on top for theirs") {
  const dsn::Platform platform = board();
  // Nothing runs: 1 + 0.1 + 0.2 W.
  CHECK(dsn::modelled_energy(platform, {}, 10).value() == doctest::Approx(13.0));
  // Big: 4 s at its upper OPP, one of its two cores busy for 3 of them; 6 s at its lower one, idle.
  const std::vector<ClusterUse> use = {{1, 1, 1, 3.0, 4.0}, {1, 0, 1, 0.0, 6.0}};
  CHECK(dsn::modelled_energy(platform, use, 10).value() ==
        doctest::Approx(10 * 1.1 + 4 * 0.4 + 3 * 0.5 * 4.0 + 6 * 0.2));
  // What no part speaks of is idle at the OPP of the last.
  const std::vector<ClusterUse> some = {{1, 1, 2, 1.0, 0.0}};
  CHECK(dsn::modelled_energy(platform, some, 10).value() == doctest::Approx(10 * 1.1 + 10 * 0.4 + 1 * 4.0));
  CHECK_FALSE(dsn::modelled_energy(board(false), {}, 10).has_value());
}

TEST_CASE("RunEnergyMeter: a meter's reading is measured, and says what it covers") {
  const FakeSysfs tree;
  add_rapl(tree, "1000000");
  const dsn::Platform platform = board();
  RunEnergyMeter meter(platform, "auto", tree.root());
  add_rapl(tree, "3500000");
  const RunEnergy energy = meter.stop({});
  REQUIRE(energy.energy_j.has_value());
  CHECK(*energy.energy_j == doctest::Approx(2.5));
  CHECK(energy.origin == dsn::Origin::measured);
  CHECK(energy.source == "CPU package-0: energy counter");
  CHECK(energy.samples == 2);
  const dsn::Json json = to_json(energy);
  CHECK(json["energy_origin"] == "measured");
  CHECK(json["energy_j"].get<double>() == doctest::Approx(2.5));
}

TEST_CASE(
    "RunEnergyMeter: without a meter the model answers, and without powers nothing does, with a reason") {
  const FakeSysfs tree;
  const dsn::Platform platform = board(), bare = board(false);
  RunEnergy energy = RunEnergyMeter(platform, "auto", tree.root()).stop({});
  REQUIRE(energy.energy_j.has_value());
  CHECK(energy.origin == dsn::Origin::modelled);
  CHECK(*energy.energy_j == doctest::Approx(1.3 * energy.seconds));
  CHECK(energy.source == "modelled: power model of test board (5 V input)");
  CHECK(to_json(energy)["energy_modelled_because"] == "this machine has no energy meter that can be used");

  energy = RunEnergyMeter(bare, "auto", tree.root()).stop({});
  CHECK_FALSE(energy.energy_j.has_value());
  CHECK(to_json(energy)["energy_j"].is_null());
  CHECK(to_json(energy)["energy_j_reason"] ==
        "this machine has no energy meter that can be used, and the platform has no power model");
  CHECK_THROWS_AS(RunEnergyMeter(platform, "rapl", tree.root()), dsn::Error);
}

TEST_CASE("RunEnergyMeter: a sensor that vanishes during the run gives way to the model") {
  const FakeSysfs tree;
  add_rapl(tree, "1000000");
  const dsn::Platform platform = board();
  RunEnergyMeter meter(platform, "rapl", tree.root());
  tree.remove("sys/class/powercap/intel-rapl:0");
  const RunEnergy energy = meter.stop({});
  REQUIRE(energy.energy_j.has_value());
  CHECK(energy.origin == dsn::Origin::modelled);
  CHECK(energy.reason.find("the sensor is gone") != std::string::npos);
}

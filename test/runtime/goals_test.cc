// SPDX-License-Identifier: Apache-2.0
// Goals, budgets, priorities, caps and what gives way, on a board whose energies are computed by hand.
#include <doctest/doctest.h>

#include <utility>

#include "../fakes/policy_bench.h"
#include "dsn/core/error.h"
#include "dsn/runtime/power_limits.h"

using namespace dsn;
using namespace dsn::fakes;

TEST_CASE("dsn:min-latency: the fastest setting above the accuracy floor") {
  const CostTable costs = powered_costs();
  for (const auto& [floor, level] : {std::pair{0.0, 0}, {0.91, 1}, {0.93, 2}}) {
    Bench bench(powered_platform());
    bench.add(costs, 50e-3, 50e-3).min_accuracy = floor;
    const auto policy = make_policy("dsn:min-latency");
    CHECK(policy->name() == "dsn:min-latency");
    const Decision decision = bench.decide(*policy);
    CHECK(decision.feasible);
    CHECK(decision.apps[0].level == level);
    CHECK(decision.opp[0] == 3);
  }
}

TEST_CASE("dsn: an energy budget lowers level and OPP, and is kept") {
  const CostTable costs = powered_costs();
  Bench bench(powered_platform());
  AppView& app = bench.add(costs, 12e-3, 20e-3);
  const auto policy = make_policy("dsn");
  CHECK(bench.decide(*policy).apps[0].level == 2);  // 3 mJ at 1 GHz
  app.energy_budget_j = 2e-3;
  bench.run(*policy, 30, 1, 20e-3);
  CHECK(app.level == 1);  // 16 ms at 0.5 GHz would be late; level 1 takes 8 ms and 0.4 mJ there
  CHECK(bench.clusters_[0].opp == 0);
  CHECK(bench.decide(*policy).feasible);
}

TEST_CASE("dsn: what gives way first is what the declared order says") {
  const CostTable costs = powered_costs();
  struct Case {
    const char* order;
    int level, opp;
  };
  // 12 ms, 93 % and 2 mJ cannot be kept together: level 2 is on time from 1 GHz on (3 mJ) and cheap enough
  // only at 0.5 GHz (0.75 mJ, 16 ms).
  for (const Case& expected : {Case{"latency,accuracy,energy", 2, 1}, Case{"latency,energy,accuracy", 1, 0},
                               Case{"energy,accuracy,latency", 2, 0}, Case{"accuracy,energy,latency", 2, 0},
                               Case{"accuracy,latency,energy", 2, 1}}) {
    CAPTURE(expected.order);
    Bench bench(powered_platform());
    AppView& app = bench.add(costs, 12e-3, 20e-3);
    app.energy_budget_j = 2e-3;
    app.min_accuracy = 0.93;
    bench.system.precedence = parse_precedence(expected.order);
    const Decision decision = bench.decide(*make_policy("dsn"));
    CHECK_FALSE(decision.feasible);
    CHECK(decision.apps[0].level == expected.level);
    CHECK(decision.opp[0] == expected.opp);
  }
}

TEST_CASE("parse_precedence: each goal once") {
  CHECK(parse_precedence("latency,accuracy,energy") == kDefaultPrecedence);
  for (const char* text :
       {"", "latency", "latency,accuracy", "latency,accuracy,accuracy", "latency,energy,speed",
        "latency,accuracy,energy,latency", "latency,accuracy,energy,"}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)parse_precedence(text), Error);
  }
}

TEST_CASE(
    "dsn: where cores are short, the application of the higher priority keeps its level and its floor") {
  const CostTable costs = plain_costs();
  const auto levels = [&](int priority0, int priority1, double floor) {
    Bench bench(plain_platform(1));
    bench.add(costs, 10e-3, 4e-3);
    bench.add(costs, 10e-3, 4e-3);
    for (std::size_t a = 0; a < 2; ++a) {
      bench.apps_[a].priority = a == 0 ? priority0 : priority1;
      bench.apps_[a].min_accuracy = floor;
    }
    const Decision decision = bench.decide(*make_policy("dsn"));
    CHECK(decision.feasible == (floor == 0));
    return std::pair(decision.apps[0].level, decision.apps[1].level);
  };
  // Of one core, levels take 0.2, 0.275, 0.375, 0.5, 0.65 and 0.825.
  CHECK(levels(0, 0, 0) == std::pair(3, 3));
  CHECK(levels(1, 0, 0) == std::pair(4, 0));
  CHECK(levels(-3, 7, 0) == std::pair(0, 4));
  CHECK(levels(1, 0, 0.926) == std::pair(4, 0));
}

TEST_CASE("dsn: a power cap is kept before any goal, by level and by OPP") {
  const CostTable costs = powered_costs();
  Bench bench(powered_platform());
  bench.add(costs, 12e-3, 20e-3);
  CHECK(bench.decide(*make_policy("dsn")).apps[0].level == 2);  // 3 mJ per 20 ms and 0.1 W idle: 0.25 W
  SUBCASE("a level less") {
    bench.system.power_cap_w = 0.2;
    const Decision decision = bench.decide(*make_policy("dsn"));
    CHECK(decision.apps[0].level == 1);
    CHECK(decision.opp[0] == 0);
    CHECK(decision.feasible);
  }
  SUBCASE("just enough") {
    bench.system.power_cap_w = 0.26;
    CHECK(bench.decide(*make_policy("dsn")).apps[0].level == 2);
    bench.system.base_power_w = 0.02;  // takes its part
    CHECK(bench.decide(*make_policy("dsn")).apps[0].level == 1);
  }
  SUBCASE("out of reach: the least, and said so") {
    bench.system.power_cap_w = 0.01;
    bench.apps_[0].min_accuracy = 0.93;
    const Decision decision = bench.decide(*make_policy("dsn"));
    CHECK(decision.apps[0].level == 0);
    CHECK(decision.opp[0] == 0);
    CHECK_FALSE(decision.feasible);
  }
}

TEST_CASE("dsn: under a power cap the higher priority takes its power first") {
  Platform platform = powered_platform();
  platform.clusters.push_back(platform.clusters[0]);
  platform.clusters[1].name = "other";
  Lut lut;
  for (int level = 0; level < 3; ++level)
    for (const Cluster& cluster : platform.clusters)
      for (const double freq_hz : {0.5e9, 2e9})
        add_row(lut, level, {cluster.name, 4, freq_hz, 1}, 1e-3 * (1 << level) * 2e9 / freq_hz);
  const CostTable costs(family_of({0.90, 0.92, 0.94}), lut, platform);
  for (const std::size_t first : {0U, 1U}) {
    Bench bench(platform);
    bench.add(costs, 5.6e-3, 6e-3);
    bench.add(costs, 5.6e-3, 6e-3);
    bench.apps_[first].priority = 1;
    const Decision free = bench.decide(*make_policy("dsn"));
    CHECK(free.apps[0].level == 2);
    CHECK(free.apps[1].level == 2);
    bench.system.power_cap_w = 13;  // level 2 takes 8.2 W at 2 GHz, level 1 2.1 W at 1 GHz... one of each
    const Decision decision = bench.decide(*make_policy("dsn"));
    CHECK(decision.feasible);
    CHECK(decision.apps[first].level == 2);
    CHECK(decision.apps[1 - first].level < 2);
  }
}

TEST_CASE("dsn: what a meter shows above the model comes off the power cap") {
  const CostTable costs = powered_costs();
  Bench bench(powered_platform());
  AppView& app = bench.add(costs, 12e-3, 20e-3);
  bench.system.power_cap_w = 0.3;
  const auto policy = make_policy("dsn");
  bench.run(*policy, 50, 1, 20e-3);
  REQUIRE(app.level == 2);
  bench.system.power_w = 0.4;  // the model says 0.25
  bench.run(*policy, 100, 1, 20e-3);
  CHECK(app.level == 1);
}

TEST_CASE("dsn: a temperature cap lowers the OPP step by step, and lets it back when it has cooled") {
  const CostTable costs = powered_costs();
  Bench bench(powered_platform());
  bench.add(costs, 4.8e-3, 20e-3);
  ClusterView& cluster = bench.clusters_[0];
  cluster.max_temp_c = 80;
  cluster.temp_c = 60;
  const auto policy = make_policy("dsn:min-latency");  // wants the highest
  bench.run(*policy, 50, 1, 20e-3);
  REQUIRE(cluster.opp == 3);
  cluster.temp_c = 81;
  bench.run(*policy, 5, 1, 20e-3);
  CHECK(cluster.opp == 2);  // one step, then half a second to see what it does
  CHECK(bench.decide(*policy).feasible);
  bench.run(*policy, 100, 1, 20e-3);
  CHECK(cluster.opp == 0);
  cluster.temp_c = 79;  // below, but not by enough
  bench.run(*policy, 100, 1, 20e-3);
  CHECK(cluster.opp == 0);
  cluster.temp_c = 70;
  bench.run(*policy, 300, 1, 20e-3);
  CHECK(cluster.opp == 3);
  cluster.temp_c = 99;
  bench.run(*policy, 10, 1, 20e-3);
  CHECK(cluster.opp == 0);  // far above: all at once
  cluster.temp_c.reset();   // the sensor fails: latency is what is left to look at
  bench.run(*policy, 100, 1, 20e-3);
  CHECK(cluster.opp == 3);
}

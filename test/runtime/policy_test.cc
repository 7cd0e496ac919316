// SPDX-License-Identifier: Apache-2.0
// Decisions of dsn and of static policies on views made by hand.
#include "dsn/runtime/policy.h"

#include <doctest/doctest.h>

#include <optional>

#include "../fakes/policy_bench.h"
#include "dsn/core/error.h"
#include "dsn/runtime/dsn_policy.h"
#include "dsn/runtime/feasibility.h"

using namespace dsn;
using namespace dsn::fakes;

TEST_CASE("dsn: undisturbed, the most accurate level that meets the target, from the first decision on") {
  const CostTable costs = plain_costs();
  for (const auto& [target_s, level] : {std::pair{5e-3, 5}, {3.0e-3, 3}, {1.2e-3, 0}}) {
    Bench bench(plain_platform());
    bench.add(costs, target_s);
    const auto policy = make_policy("dsn");
    const Decision first = bench.decide(*policy);
    CHECK(first.apps[0].level == level);
    CHECK(first.feasible);
    CHECK(first.opp[0] == kLeaveToGovernor);
  }
}

TEST_CASE("dsn: what the first decision did not dare is reached when measurements confirm the LUT") {
  const CostTable costs = plain_costs();
  Bench bench(plain_platform());
  bench.add(costs, 3.5e-3);
  const auto policy = make_policy("dsn");
  bench.run(*policy, 200);
  CHECK(bench.apps_[0].level == 5);
  CHECK(policy->slowdown(0) == doctest::Approx(1.0).epsilon(0.02));
}

TEST_CASE("dsn: a slowdown of all levels lowers the level at once and its end raises it again") {
  const CostTable costs = plain_costs();
  Bench bench(plain_platform());
  bench.add(costs, 4e-3);
  const auto policy = make_policy("dsn");
  bench.run(*policy, 200, 1, 20e-3);
  REQUIRE(bench.apps_[0].level == 5);
  bench.run(*policy, 5, 2.2, 20e-3);
  CHECK(bench.apps_[0].level <= 2);
  bench.run(*policy, 200, 2.2, 20e-3);
  CHECK(bench.apps_[0].level == 2);  // 1.5 ms * 2.2 < 4 ms < 2.0 ms * 2.2
  CHECK(policy->slowdown(0) == doctest::Approx(2.2).epsilon(0.05));
  bench.run(*policy, 60, 1, 20e-3);
  CHECK(bench.apps_[0].level == 5);
}

TEST_CASE("dsn: keeps the rate, not only the target") {
  const CostTable costs = plain_costs();
  Bench bench(plain_platform());
  bench.add(costs, 20e-3, 2.5e-3);
  const auto policy = make_policy("dsn");
  CHECK(bench.decide(*policy).apps[0].level == 3);  // 2.0 ms fits into the period, 2.6 ms does not
}

TEST_CASE("dsn: infeasible targets degrade in the declared order: latency, then accuracy, then energy") {
  const CostTable costs = plain_costs();
  SUBCASE("a floor that only late levels reach gives way") {
    Bench bench(plain_platform());
    bench.add(costs, 2.5e-3).min_accuracy = 0.926;
    const auto policy = make_policy("dsn");
    const Decision decision = bench.decide(*policy);
    CHECK_FALSE(decision.feasible);
    CHECK(decision.apps[0].level == 2);  // as accurate as the target allows
  }
  SUBCASE("a target that no level meets gets the fastest level") {
    Bench bench(plain_platform());
    bench.add(costs, 0.5e-3).min_accuracy = 0.926;
    const auto policy = make_policy("dsn");
    const Decision decision = bench.decide(*policy);
    CHECK_FALSE(decision.feasible);
    CHECK(decision.apps[0].level == 0);
    bench.run(*policy, 100);
    CHECK(bench.apps_[0].level == 0);
  }
  SUBCASE("with power known, the fastest OPP as well") {
    const CostTable powered = powered_costs();
    Bench bench(powered_platform());
    bench.add(powered, 0.5e-3);
    const auto policy = make_policy("dsn:min-energy");
    const Decision decision = bench.decide(*policy);
    CHECK_FALSE(decision.feasible);
    CHECK(decision.apps[0].level == 0);
    CHECK(decision.opp[0] == 3);
  }
}

TEST_CASE("dsn: max-accuracy takes the cheapest OPP that keeps the best level on time") {
  const CostTable costs = powered_costs();
  Bench bench(powered_platform());
  bench.add(costs, 12e-3, 20e-3);
  const auto policy = make_policy("dsn");
  const Decision decision = bench.decide(*policy);
  CHECK(decision.apps[0].level == 2);
  CHECK(decision.opp[0] == 1);  // 8 ms at 1 GHz; 16 ms at 0.5 GHz
}

TEST_CASE("dsn:min-energy takes the cheapest level and OPP above the accuracy floor") {
  const CostTable costs = powered_costs();
  for (const auto& [floor, level] : {std::pair{0.0, 0}, {0.91, 1}, {0.93, 2}}) {
    Bench bench(powered_platform());
    bench.add(costs, 12e-3, 20e-3).min_accuracy = floor;
    const auto policy = make_policy("dsn:min-energy");
    const Decision decision = bench.decide(*policy);
    CHECK(decision.feasible);
    CHECK(decision.apps[0].level == level);
    CHECK(decision.opp[0] == (level == 2 ? 1 : 0));
  }
}

TEST_CASE("dsn: a cap on the OPP lowers the level, and lifting it raises the level") {
  const CostTable costs = powered_costs();
  Bench bench(powered_platform());
  bench.add(costs, 5.5e-3, 20e-3);
  const auto policy = make_policy("dsn");
  bench.run(*policy, 50, 1, 20e-3);
  REQUIRE(bench.apps_[0].level == 2);
  bench.clusters_[0].max_opp = bench.clusters_[0].opp = 1;
  const Decision capped = bench.decide(*policy);
  CHECK(capped.apps[0].level == 1);  // 4 ms at 1 GHz
  CHECK(capped.opp[0] == 1);
  CHECK(capped.feasible);
  bench.run(*policy, 20, 1, 20e-3);
  bench.clusters_[0].max_opp = 3;
  bench.run(*policy, 50, 1, 20e-3);
  CHECK(bench.apps_[0].level == 2);
}

TEST_CASE("dsn: a target that changes is followed without climbing step by step") {
  const CostTable costs = plain_costs();
  Bench bench(plain_platform());
  AppView& app = bench.add(costs, 1.0e-3);
  const auto policy = make_policy("dsn");
  bench.run(*policy, 50);
  REQUIRE(app.level == 0);
  app.target_s = 5e-3;
  CHECK(bench.decide(*policy).apps[0].level == 5);
  bench.run(*policy, 5);
  app.target_s = 2e-3;
  CHECK(bench.decide(*policy).apps[0].level <= 2);
}

TEST_CASE("dsn: an inference that starts late runs a faster level, once") {
  const CostTable costs = plain_costs();
  Bench bench(plain_platform());
  AppView& app = bench.add(costs, 5e-3);
  const auto policy = make_policy("dsn");
  bench.run(*policy, 50);
  REQUIRE(app.level == 5);
  app.waited_s = 3.0e-3;
  CHECK(bench.decide(*policy).apps[0].level == 2);
  app.waited_s = 6.0e-3;  // lost: done with it soon
  CHECK(bench.decide(*policy).apps[0].level == 0);
  app.waited_s = 0;
  CHECK(bench.decide(*policy).apps[0].level == 5);
}

TEST_CASE("dsn: two applications do not get more cores than there are") {
  const CostTable costs = plain_costs();
  Bench bench(plain_platform(1));
  bench.add(costs, 10e-3, 5e-3);
  bench.add(costs, 10e-3, 5e-3);
  const auto policy = make_policy("dsn");
  const Decision decision = bench.decide(*policy);
  double cores = 0;
  for (std::size_t a = 0; a < 2; ++a) cores += costs.latency(decision.apps[a].level, 0, 0) / 5e-3;
  CHECK(decision.feasible);
  CHECK(cores <= 1);
  CHECK(cores > 0.8);
}

TEST_CASE("dsn: the applications of a cluster share its OPP, and the one with the tighter target sets it") {
  const CostTable costs = powered_costs();
  Bench bench(powered_platform());
  bench.add(costs, 60e-3, 60e-3);
  bench.add(costs, 5.5e-3, 60e-3).min_accuracy = 0.93;
  const auto policy = make_policy("dsn:min-energy");
  const Decision decision = bench.decide(*policy);
  CHECK(decision.feasible);
  CHECK(decision.apps[1].level == 2);
  CHECK(decision.opp[0] == 3);
  CHECK(decision.apps[0].level == 0);
}

TEST_CASE("dsn: chooses between clusters by energy") {
  Platform platform = powered_platform();
  platform.clusters.push_back(cluster_of("little", 4, {1e9}));
  platform.clusters[1].opps[0].idle_power_w = 0.01;
  platform.clusters[1].opps[0].busy_power_w = 0.2;
  Lut lut;
  for (const double freq_hz : {0.5e9, 2e9}) add_row(lut, 0, {"big", 1, freq_hz, 1}, 2e-3 * 2e9 / freq_hz);
  add_row(lut, 0, {"little", 1, 1e9, 1}, 9e-3);
  const CostTable costs(family_of({0.9}), lut, platform);
  REQUIRE(costs.placements().size() == 2);
  for (const auto& [target_s, cluster] : {std::pair{20e-3, 1}, {5e-3, 0}}) {
    Bench bench(platform);
    bench.add(costs, target_s, 40e-3);
    const auto policy = make_policy("dsn");
    const Decision decision = bench.decide(*policy);
    CHECK(costs.placements()[static_cast<std::size_t>(decision.apps[0].placement)].cluster == cluster);
    CHECK(decision.opp[static_cast<std::size_t>(1 - cluster)] == kLeaveToGovernor);
  }
}

TEST_CASE("static policies: one level for ever, frequencies left alone") {
  const CostTable costs = plain_costs();
  for (const auto& [spec, level] :
       {std::pair{"static:largest", 5}, {"static:smallest", 0}, {"static:3", 3}}) {
    Bench bench(plain_platform());
    bench.add(costs, 1e-3);
    const auto policy = make_policy(spec);
    policy->check(costs);
    CHECK(policy->name() == spec);
    bench.run(*policy, 20, 3.0);
    const Decision decision = bench.decide(*policy);
    CHECK(decision.apps[0].level == level);
    CHECK(decision.opp[0] == kLeaveToGovernor);
    CHECK(policy->slowdown(0) == 1);
  }
}

TEST_CASE("static policies: the placement is the cheapest that meets the target, else the fastest") {
  Lut lut = plain_lut({4e-3});
  add_row(lut, 0, {"cpu", 2, 0, 1}, 2.5e-3);
  const CostTable costs(family_of({0.9}), lut, plain_platform());
  CHECK(cheapest_placement(costs, 0, 5e-3) == 0);
  CHECK(cheapest_placement(costs, 0, 3e-3) == 1);
  CHECK(cheapest_placement(costs, 0, 1e-3) == 1);
}

TEST_CASE("make_policy: unknown names list what there is, and a level beyond the family is refused") {
  for (const char* spec : {"", "dsm", "static", "static:", "static:x", "static:-1", "static:2x", "dsn:"}) {
    std::optional<Error> caught;
    try {
      (void)make_policy(spec);
    } catch (const Error& error) {
      caught = error;
    }
    REQUIRE(caught);
    CHECK(caught->code() == ErrorCode::bad_usage);
    CHECK(caught->hint().find("static:smallest") != std::string::npos);
  }
  CHECK_THROWS_WITH_AS(make_policy("static:6")->check(plain_costs()),
                       "policy static:6: this family has 6 levels, 0 to 5", Error);
  CHECK_NOTHROW(make_policy("static:5")->check(plain_costs()));
}

TEST_CASE("require_feasible: names the nearest level and its latency") {
  const CostTable costs = plain_costs();
  CHECK_NOTHROW(require_feasible(costs, {1e-3, 0, 0}));
  CHECK_NOTHROW(require_feasible(costs, {3e-3, 0.925, 0}));
  const auto message = [&](const Goal& goal) {
    try {
      require_feasible(costs, goal);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::infeasible);
      return error.message();
    }
    return std::string("feasible");
  };
  CHECK(message({0.5e-3, 0, 0}).find("level 0") != std::string::npos);
  CHECK(message({0.5e-3, 0, 0}).find("800 us") != std::string::npos);
  CHECK(message({2.2e-3, 0.925, 0}).find("level 4") != std::string::npos);
  CHECK(message({5e-3, 0.99, 0}).find("level 5") != std::string::npos);
  CHECK(message({5e-3, 0, 0.5e-3}).find("rate") != std::string::npos);
}

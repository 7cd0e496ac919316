// SPDX-License-Identifier: Apache-2.0
// What dsn is compared with: one kind of knob only, SuperServe's slack buckets, governors of the kernel.
#include <doctest/doctest.h>

#include <utility>

#include "../fakes/policy_bench.h"
#include "dsn/core/error.h"

using namespace dsn;
using namespace dsn::fakes;

TEST_CASE("subnet-only: levels move, placements and frequencies do not") {
  Platform platform = powered_platform();
  platform.clusters.push_back(cluster_of("little", 4, {1e9}));
  platform.clusters[1].opps[0].idle_power_w = 0.01;
  platform.clusters[1].opps[0].busy_power_w = 0.2;
  Lut lut;
  for (int level = 0; level < 3; ++level) {
    for (const double freq_hz : {0.5e9, 2e9})
      add_row(lut, level, {"big", 1, freq_hz, 1}, 1e-3 * (1 << level) * 2e9 / freq_hz);
    add_row(lut, level, {"little", 1, 1e9, 1}, 3e-3 * (1 << level));
  }
  const CostTable costs(family_of({0.90, 0.92, 0.94}), lut, platform);
  Bench bench(platform);
  AppView& app = bench.add(costs, 5.5e-3, 20e-3);
  bench.clusters_[0].opp = 1;  // its governor's choice: 1 GHz
  const auto policy = make_policy("subnet-only");
  CHECK(policy->name() == "subnet-only");
  const Decision decision = bench.decide(*policy);
  CHECK(decision.apps[0].level == 1);  // 4 ms; 8 ms for level 2
  CHECK(costs.placements()[static_cast<std::size_t>(decision.apps[0].placement)].cluster == 0);
  CHECK(decision.opp[0] == kLeaveToGovernor);
  CHECK(decision.opp[1] == kLeaveToGovernor);
  app.target_s = 100e-3;  // the little cluster would do now, and cost less
  bench.run(*policy, 50, 1, 20e-3);
  CHECK(app.level == 2);
  CHECK(costs.placements()[static_cast<std::size_t>(app.placement)].cluster == 0);
}

TEST_CASE("dvfs-only: one level for ever, the cheapest OPP that keeps the target") {
  const CostTable costs = powered_costs();
  Bench bench(powered_platform());
  AppView& app = bench.add(costs, 12e-3, 20e-3);
  const auto policy = make_policy("dvfs-only");
  policy->check(costs);
  CHECK(bench.decide(*policy).opp[0] == 1);  // 8 ms at 1 GHz
  bench.run(*policy, 30, 1.6, 20e-3);
  CHECK(bench.clusters_[0].opp == 2);  // 5.3 ms * 1.6
  CHECK(app.level == 2);
  app.waited_s = 8e-3;  // late: still no other level
  CHECK(bench.decide(*policy).apps[0].level == 2);
  CHECK(bench.decide(*make_policy("dvfs-only:0")).opp[0] == 0);  // 4 ms at 0.5 GHz
}

TEST_CASE("dvfs-only: a level beyond the family is refused, a target out of reach gets the highest OPP") {
  const CostTable costs = powered_costs();
  CHECK_THROWS_WITH_AS(make_policy("dvfs-only:3")->check(costs),
                       "policy dvfs-only:3: this family has 3 levels, 0 to 2", Error);
  Bench bench(powered_platform());
  bench.add(costs, 2e-3, 20e-3);
  const auto policy = make_policy("dvfs-only");
  const Decision decision = bench.decide(*policy);
  CHECK_FALSE(decision.feasible);
  CHECK(decision.opp[0] == 3);
  CHECK(decision.apps[0].level == 2);
}

TEST_CASE("slackfit: the choice of the highest bucket below the slack, by hand") {
  // From 0.8 to 3.3 ms in eight buckets of 0.3125 ms: levels 0 and 1 share the first, the others have their
  // own.
  const CostTable costs = plain_costs();
  for (const auto& [target_s, level] : {std::pair{5e-3, 5},
                                        {3.3e-3, 4},  // not below its slack
                                        {2.1e-3, 3},
                                        {1.2e-3, 1},
                                        {1.0e-3, 0},  // the first bucket keeps level 1: too slow
                                        {0.5e-3, 0}}) {
    CAPTURE(target_s);
    Bench bench(plain_platform());
    bench.add(costs, target_s);
    const auto policy = make_policy("slackfit");
    const Decision decision = bench.decide(*policy);
    CHECK(decision.apps[0].level == level);
    CHECK(decision.feasible == (target_s > 0.8e-3));
    CHECK(decision.opp[0] == kLeaveToGovernor);
  }
}

TEST_CASE("slackfit: slack is what waiting leaves of the target, and contention is not seen") {
  const CostTable costs = plain_costs();
  Bench bench(plain_platform());
  AppView& app = bench.add(costs, 5e-3);
  const auto policy = make_policy("slackfit");
  bench.run(*policy, 20, 3.0);
  CHECK(app.level == 5);
  app.waited_s = 3.1e-3;
  CHECK(bench.decide(*policy).apps[0].level == 2);
}

TEST_CASE("slackfit: latencies are those at the OPP that the governor chose") {
  const CostTable costs = powered_costs();
  Bench bench(powered_platform());
  bench.add(costs, 10e-3, 20e-3);
  const auto policy = make_policy("slackfit");
  CHECK(bench.decide(*policy).apps[0].level == 2);  // 4 ms at 2 GHz
  bench.clusters_[0].opp = 0;
  CHECK(bench.decide(*policy).apps[0].level == 1);  // 16 and 8 ms at 0.5 GHz
}

TEST_CASE("governor policies: a static level, and the name of the governor in every decision") {
  const CostTable costs = plain_costs();
  Bench bench(plain_platform());
  bench.add(costs, 5e-3);
  for (const auto& [spec, level] : {std::pair{"governor:schedutil", 5},
                                    {"governor:ondemand:smallest", 0},
                                    {"governor:performance:3", 3}}) {
    const auto policy = make_policy(spec);
    CHECK(policy->name() == spec);
    const Decision decision = bench.decide(*policy);
    CHECK(decision.apps[0].level == level);
    CHECK(decision.opp[0] == kLeaveToGovernor);
    CHECK(std::string(spec).find(decision.governor) == 9);
  }
  CHECK(bench.decide(*make_policy("static:largest")).governor.empty());
  CHECK(bench.decide(*make_policy("dsn")).governor.empty());
}

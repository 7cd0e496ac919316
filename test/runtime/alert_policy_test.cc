// SPDX-License-Identifier: Apache-2.0
// ALERT against numbers computed by hand from the paper's equations.
#include "dsn/runtime/alert_policy.h"

#include <doctest/doctest.h>

#include "../fakes/policy_bench.h"

using namespace dsn;
using namespace dsn::fakes;

namespace {

void finish(Bench& bench, Policy& policy, double took_s) {
  const AppView& app = bench.apps_[0];
  policy.observe(bench.view(), {0, app.level, app.placement, bench.clusters_[0].opp, bench.now_s, bench.now_s,
                                bench.now_s + took_s, app.target_s});
}

}  // namespace

TEST_CASE("AlertFilter: two measurements of twice the nominal time, by hand") {
  AlertFilter filter;
  CHECK(filter.mean() == 1);
  CHECK(filter.sigma() == doctest::Approx(0.31622777));
  CHECK(filter.on_time(1, 2) == doctest::Approx(0.9992173));  // Phi(1 / 0.3162)
  // Innovation 1, moved by 0.5: Q = 0.3 * 0.1 + 0.7 * 0.25, P = 0.5 * 0.1 + Q, K = P / (P + 0.001).
  filter.observe(2e-3, 1e-3);
  CHECK(filter.mean() == doctest::Approx(1.99609375));
  CHECK(filter.sigma() == doctest::Approx(0.50497525));  // sqrt(0.255)
  // Q at its floor of 0.1, P = (1 - 0.99609375) * 0.255 + 0.1.
  filter.observe(2e-3, 1e-3);
  CHECK(filter.mean() == doctest::Approx(1.99996170));
  CHECK(filter.sigma() == doctest::Approx(0.31779882));
}

TEST_CASE("AlertFilter: what is no measurement is ignored") {
  AlertFilter filter;
  filter.observe(0, 1);
  filter.observe(1, 0);
  filter.observe(-1, 1);
  CHECK(filter.mean() == 1);
}

TEST_CASE("alert: the level follows the slowdown as its equations say") {
  const CostTable costs = plain_costs();
  Bench bench(plain_platform());
  bench.add(costs, 4e-3);
  const auto policy = make_policy("alert");
  // On time with 0.99: at most 4 ms / (1 + 2.326 * 0.3162) = 2.30 ms of nominal latency.
  CHECK(bench.decide(*policy).apps[0].level == 3);
  finish(bench, *policy, 2 * 2.0e-3);
  CHECK(policy->slowdown(0) == doctest::Approx(1.99609375));
  // Wider and slower: 4 ms / (1.996 + 2.326 * 0.505) = 1.26 ms.
  CHECK(bench.decide(*policy).apps[0].level == 1);
  finish(bench, *policy, 2 * 1.1e-3);
  // 4 ms / (2.000 + 2.326 * 0.3178) = 1.46 ms.
  CHECK(bench.decide(*policy).apps[0].level == 1);
  // Back to 1 the process noise is 0.7 * 0.99^2, forgotten by 0.3 per inference until it is at its floor again.
  finish(bench, *policy, 1.1e-3);
  finish(bench, *policy, 1.1e-3);
  CHECK(bench.decide(*policy).apps[0].level == 2);
  finish(bench, *policy, 1.5e-3);
  CHECK(bench.decide(*policy).apps[0].level == 3);
}

TEST_CASE("alert: time already waited comes off the deadline, and what no level keeps gets the likeliest") {
  const CostTable costs = plain_costs();
  Bench bench(plain_platform());
  bench.add(costs, 4e-3).waited_s = 1e-3;
  const auto policy = make_policy("alert");
  CHECK(bench.decide(*policy).apps[0].level == 2);  // at most 3 ms / 1.7355 = 1.73 ms
  bench.apps_[0].waited_s = 3e-3;
  const Decision late = bench.decide(*policy);
  CHECK(late.apps[0].level == 0);
  CHECK_FALSE(late.feasible);
}

TEST_CASE("alert: joint choice of level and OPP under budgets, by hand") {
  const CostTable costs = powered_costs();
  Bench bench(powered_platform());
  AppView& app = bench.add(costs, 12e-3, 20e-3);
  // On time: at most 12 ms / 1.7355 = 6.91 ms.
  SUBCASE("without a budget the most accurate, as likely on time as can be") {
    const Decision decision = bench.decide(*make_policy("alert"));
    CHECK(decision.apps[0].level == 2);
    CHECK(decision.opp[0] == 3);
  }
  SUBCASE("2 mJ: level 1 costs 1.5 mJ at 1 GHz and 3.4 mJ at 1.5, level 2 at 1.5 GHz 6.8 mJ") {
    app.energy_budget_j = 2e-3;
    const Decision decision = bench.decide(*make_policy("alert"));
    CHECK(decision.apps[0].level == 1);
    CHECK(decision.opp[0] == 1);
    CHECK(decision.feasible);
  }
  SUBCASE("least energy above a floor, idle power between inferences included") {
    const auto policy = make_policy("alert:min-energy");
    const Decision any = bench.decide(*policy);
    CHECK(any.apps[0].level == 0);
    CHECK(any.opp[0] == 0);
    app.min_accuracy = 0.91;
    const Decision floor = bench.decide(*policy);
    CHECK(floor.apps[0].level == 1);
    CHECK(floor.opp[0] == 1);
    app.min_accuracy = 0.99;  // accuracy gives way before latency: as much as there is in time
    const Decision most = bench.decide(*policy);
    CHECK(most.apps[0].level == 2);
    CHECK_FALSE(most.feasible);
  }
}

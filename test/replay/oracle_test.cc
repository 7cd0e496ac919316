// SPDX-License-Identifier: Apache-2.0
// The oracle by hand. That no policy is below it is shown over random workloads in property_test.cc.
#include "dsn/replay/oracle.h"

#include <doctest/doctest.h>

#include "fixture.h"

namespace dsn::test {
namespace {

using doctest::Approx;

// 0.5 and 1 GHz: idle 0.05 and 0.1 W, busy 1 W per core and GHz more; a level of 0.1 s (accuracy 0.7) and one
// of 0.2 s (0.75) at 1 GHz.
Workload board(double target_s, std::vector<TraceContender> contenders = {}) {
  return make_workload(make_trace(10, {make_app("a", target_s, 1, 10)}, std::move(contenders)),
                       make_platform({make_cluster("cpu", 2, {0.5e9, 1.0e9})}), {{{"cpu", 1, {0.1, 0.2}}}});
}

}  // namespace

TEST_CASE("Oracle: one inference takes the level that is accurate enough and the cheapest clock in time") {
  const Workload workload = board(1);
  const Oracle oracle(workload);
  // Above idle 0.2 s at 0.5 W or 0.1 s at 1 W: 0.1 J either way; the higher clock costs half of 0.05 W more
  // while it lasts.
  const Oracle::Choice slow = oracle.serve(0, 1, 0, {});
  CHECK(slow.feasible);
  CHECK(slow.level == 0);
  CHECK(slow.opp == 0);
  CHECK(slow.energy_j == Approx(0.1));
  const Oracle::Choice fast = oracle.serve(0, 0.1, 0, {});
  CHECK(fast.opp == 1);
  CHECK(fast.energy_j == Approx(0.1 + 0.5 * 0.05 * 0.1));
  const Oracle::Choice between = oracle.serve(0, 0.15, 0, {});  // half of it at each clock
  CHECK(between.energy_j == Approx(0.5 * (0.1 + 0.1025)));
  CHECK(between.latency_s == Approx(0.15));
  CHECK(oracle.serve(0, 1, 0.72, {}).level == 1);
  CHECK_FALSE(oracle.serve(0, 0.09, 0, {}).feasible);
  CHECK_FALSE(oracle.serve(0, 1, 0.8, {}).feasible);
}

TEST_CASE("Oracle: the whole trace, with what cannot be served counted as missed") {
  const Workload workload = board(1);
  const Oracle oracle(workload);
  CHECK(oracle.standing_j() == Approx(10 * (2.0 + 0.05)));
  const SimResult result = oracle.result(1);
  CHECK(result.total_j() == Approx(20.5 + 10 * 0.1));
  CHECK(result.apps[0].met == 10);
  CHECK(result.apps[0].arrivals == 10);
  const Workload tight = board(0.05);
  const SimResult none = Oracle(tight).result(1);
  CHECK(none.apps[0].missed == 10);
  CHECK(none.total_j() == Approx(20.5));
}

TEST_CASE("Oracle: contenders are charged what no policy can keep from them") {
  // Four busy threads on two cores beside one of the application: 2/5 of the time each. 1 W at the lowest
  // clock, two cores.
  const Workload busy = board(1, {{"c", "", {busy_phase("cpu", 0, 5, 4)}}});
  CHECK(Oracle(busy).contenders_j() == Approx(5 * 4 * 0.4 * 0.5));
  // 1 ms per 10 ms is done at any clock: 500 ms at 1 GHz of one of two cores, 1 W.
  const Workload light = board(1, {{"c", "", {periodic_phase("cpu", 0, 5, 1e-3, 10e-3)}}});
  CHECK(Oracle(light).contenders_j() == Approx(0.5));
}

}  // namespace dsn::test

// SPDX-License-Identifier: Apache-2.0
// ondemand, conservative, simple_ondemand and userspace against sequences computed by hand.
#include "dsn/replay/sampling_governors.h"

#include <doctest/doctest.h>

#include "fixture.h"

namespace dsn::test {
namespace {

using doctest::Approx;

const std::vector<double> kSteps = {0.2e9, 0.4e9, 0.6e9, 0.8e9, 1.0e9};
constexpr int kTop = 4;
const std::vector<TaskShare> kBusy = {{0, 1}};
const std::vector<TaskShare> kIdle;

// Governors refer to their cluster.
const Cluster& board() {
  static const Cluster cluster = make_cluster("c", 2, kSteps, 0);
  return cluster;
}

// Busy for `busy_s`, then idle up to `at_s`, then asked.
template <typename G>
int after(G& governor, double from_s, double busy_s, double at_s, int max_opp = kTop,
          GovernorEvent event = GovernorEvent::tick) {
  governor.advance(from_s + busy_s, 0, kBusy);
  governor.advance(at_s, 0, kIdle);
  return governor.evaluate(at_s, event, max_opp, kBusy);
}

}  // namespace

TEST_CASE(
    "LoadSampler: a sample every two ticks or one and a half transitions, at ticks of the scheduler, never "
    "while idle") {
  CHECK(LoadSampler(board()).period() == Approx(8e-3));
  CHECK(LoadSampler(make_cluster("c", 1, kSteps, 10e-3)).period() == Approx(15e-3));
  LoadSampler sampler(board());
  sampler.start(0.001);
  CHECK(sampler.next_tick(0.001, true) == Approx(0.012));  // due at 9 ms, ticks at 4, 8, 12
  CHECK(sampler.next_tick(0.02, true) == Approx(0.024));   // late already: the next tick
  CHECK(sampler.next_tick(0.001, false) == Governor::kNever);
  sampler.advance(0.008, true);
  CHECK_FALSE(sampler.sample(0.008));
  sampler.advance(0.009, true);
  CHECK(sampler.sample(0.009));
  CHECK(sampler.load() == 100);
}

TEST_CASE("Ondemand: linear between lowest and highest, closest OPP, the highest above 95 %") {
  Ondemand governor(board());
  governor.start(0, 0);
  // 4 of 8 ms: 50 %, 0.2 + 0.5 * 0.8 = 0.6 GHz.
  CHECK(after(governor, 0, 4e-3, 8e-3) == 2);
  // Too early: as it was.
  CHECK(after(governor, 8e-3, 4e-3, 12e-3) == 2);
  // 7.6 of 8 ms (4 of them before): 95 % is not above 95 %; 0.96 GHz, closest 1.0.
  CHECK(after(governor, 12e-3, 3.6e-3, 16e-3) == 4);
  // 8 of 80 ms would be 10 %, but after an idle of more than two periods the last load (95 %) counts, once.
  CHECK(after(governor, 16e-3, 8e-3, 96e-3) == 4);
  CHECK(after(governor, 96e-3, 8e-3, 176e-3) == 0);  // 10 %: 0.28 GHz, closest 0.2
}

TEST_CASE("Ondemand: of two equally close OPPs the lower, 96 % is the limit, and a lower limit clamps") {
  Ondemand governor(board());
  governor.start(0, 0);
  // 12.5 % counts as 12 %: 0.296 GHz, closest 0.2. 38 %: 0.504, closest 0.6. 37 %: 0.496, closest 0.4.
  CHECK(after(governor, 0, 1e-3, 8e-3) == 0);
  CHECK(after(governor, 8e-3, 0.385 * 8e-3, 16e-3) == 2);
  CHECK(after(governor, 16e-3, 0.375 * 8e-3, 24e-3) == 1);
  CHECK(after(governor, 24e-3, 0.96 * 8e-3, 32e-3, 3) == 3);
  CHECK(governor.evaluate(32e-3, GovernorEvent::limits, 1, kBusy) == 1);
}

TEST_CASE("Conservative: a step of 5 % at a time, an OPP only when a whole one is reached") {
  Conservative governor(board());
  governor.start(0, 0);
  double now = 0;
  // Each sample above 80 % adds 50 MHz: 250, 300, 350, 400 MHz is the second OPP.
  for (const int opp : {0, 0, 0, 1, 1, 1, 1, 2}) {
    CHECK(after(governor, now, 8e-3, now + 8e-3) == opp);
    now += 8e-3;
  }
  CHECK(governor.requested_hz() == Approx(0.6e9));
  // Between 20 % and 80 % nothing moves.
  CHECK(after(governor, now, 4e-3, now + 8e-3) == 2);
  now += 8e-3;
  // Below 20 %: 550 MHz, and the lowest OPP that reaches it is still 600.
  for (const int opp : {2, 2, 2, 1}) {
    CHECK(after(governor, now, 1e-3, now + 8e-3) == opp);
    now += 8e-3;
  }
  CHECK(governor.requested_hz() == Approx(0.4e9));
}

TEST_CASE("Conservative: a long idle lowers the request by a step per sample it missed") {
  Conservative governor(board());
  governor.start(0, kTop);
  CHECK(after(governor, 0, 8e-3, 8e-3) == kTop);
  // 8 ms busy, 40 ms idle: five samples missed, 1000 - 5 * 50 MHz; the load before (100 %) counts: + 50 MHz =
  // 800 MHz.
  CHECK(after(governor, 8e-3, 8e-3, 56e-3) == 3);
  CHECK(governor.requested_hz() == Approx(0.8e9));
}

TEST_CASE(
    "SimpleOndemand: above 90 % the highest, above 85 % as it is, else as much as keeps it busy for 88 %") {
  SimpleOndemand governor(board());
  governor.start(0, 2);
  CHECK(governor.next_tick(0, true) == Approx(0.05));
  CHECK(after(governor, 0, 43.5e-3, 50e-3) == 2);      // 87 %
  CHECK(after(governor, 50e-3, 46e-3, 100e-3) == 4);   // 92 %
  CHECK(after(governor, 100e-3, 22e-3, 150e-3) == 2);  // 44 % of 1 GHz / 0.88 = 0.5 GHz, at least: 0.6
  CHECK(after(governor, 150e-3, 20e-3, 170e-3, kTop, GovernorEvent::sleep) == 2);  // not a poll
  CHECK(after(governor, 170e-3, 2e-3, 200e-3, 3) == 1);  // 44 % of 0.6 GHz / 0.88 = 0.3 GHz: 0.4
}

TEST_CASE("Userspace: the set speed or the next OPP above, clamped to a limit and back again") {
  const Cluster& cluster = board();
  const auto governor = make_governor("userspace=0.5GHz", cluster, 1);
  CHECK(governor->initial_opp(kTop) == 2);
  CHECK(governor->evaluate(1, GovernorEvent::limits, 1, kBusy) == 1);
  CHECK(governor->evaluate(2, GovernorEvent::limits, kTop, kBusy) == 2);
  CHECK_FALSE(
      error_message(ErrorCode::bad_usage, [&] { (void)make_governor("userspace=500", cluster, 1); }).empty());
}

}  // namespace dsn::test

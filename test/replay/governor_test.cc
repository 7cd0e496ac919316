// SPDX-License-Identifier: Apache-2.0
// Governors against sequences computed by hand from the formulas named in each test.
#include "dsn/replay/governor.h"

#include <doctest/doctest.h>

#include <cmath>

#include "fixture.h"

namespace dsn::test {
namespace {

const std::vector<double> kSteps = {0.25e9, 0.5e9, 0.75e9, 1.0e9};

// Up to `to` at OPP `opp`, without asking it anything.
void run(Schedutil& governor, double to, int opp, const std::vector<TaskShare>& running) {
  governor.advance(to, opp, running);
}

}  // namespace

TEST_CASE("Pelt: an always running task reaches the kernel's documented ramp") {
  // kernel/sched/pelt.c: y^32 = 0.5 per 1024 us; at the highest clock half is reached after 32.8 ms, 80 %
  // after 76.1 ms.
  Pelt pelt;
  pelt.advance(1.0, Pelt::kept(32.768e-3, 1.0));
  CHECK(pelt.util == doctest::Approx(0.5));
  pelt.util = 0;
  pelt.advance(1.0, Pelt::kept(76.1e-3, 1.0));
  CHECK(pelt.util == doctest::Approx(0.8).epsilon(1e-3));
  // Frequency invariance: at half the clock it takes twice as long.
  pelt.util = 0;
  pelt.advance(1.0, Pelt::kept(2 * 32.768e-3, 0.5));
  CHECK(pelt.util == doctest::Approx(0.5));
  // Decay mirrors the ramp, and steps compose.
  pelt.util = 0.8;
  for (int i = 0; i < 32; ++i) pelt.advance(0.0, Pelt::kept(1.024e-3, 1.0));
  CHECK(pelt.util == doctest::Approx(0.4));
}

TEST_CASE("opp_at_least: the lowest OPP that reaches the request, within the limit") {
  const Cluster cluster = make_cluster("cpu", 1, kSteps);
  CHECK(opp_at_least(cluster, 0, 3) == 0);
  CHECK(opp_at_least(cluster, 0.5e9, 3) == 1);
  CHECK(opp_at_least(cluster, 0.5e9 + 1e4, 3) == 2);
  CHECK(opp_at_least(cluster, 2e9, 3) == 3);
  CHECK(opp_at_least(cluster, 2e9, 1) == 1);
}

TEST_CASE("performance and powersave: the limits, whatever runs") {
  const Cluster cluster = make_cluster("cpu", 2, kSteps);
  const std::vector<TaskShare> running = {{0, 2}};
  const auto performance = make_governor("performance", cluster, 1);
  CHECK(performance->evaluate(1, GovernorEvent::wake, 3, {}) == 3);
  CHECK(performance->evaluate(2, GovernorEvent::limits, 1, running) == 1);
  const auto powersave = make_governor("powersave", cluster, 1);
  CHECK(powersave->evaluate(1, GovernorEvent::wake, 3, running) == 0);
  CHECK(powersave->next_tick(1, true) == Governor::kNever);
  CHECK_FALSE(
      error_message(ErrorCode::bad_usage, [&] { (void)make_governor("ondemnad", cluster, 1); }).empty());
}

TEST_CASE("Schedutil: a request is 1.25 times utilisation, rounded up to an OPP") {
  // cpufreq_schedutil.c: next_freq = max * 1.25 * util. At the highest OPP util(t) = 1 - 2^(-t / 32.768 ms).
  const Cluster cluster = make_cluster("cpu", 2, kSteps);  // latency unknown: rate limit 1 ms
  struct Row {
    double t_s;
    int opp;
  };
  // 1.25 u <= 0.25, 0.5, 0.75 while u <= 0.2, 0.4, 0.6: t <= 10.55, 24.15, 43.32 ms.
  for (const Row row :
       {Row{10e-3, 0}, Row{11e-3, 1}, Row{24e-3, 1}, Row{25e-3, 2}, Row{43e-3, 2}, Row{44e-3, 3}}) {
    Schedutil governor(cluster, 1);
    const std::vector<TaskShare> running = {{0, 1}};
    governor.start(0, 3);
    governor.wake(running[0]);
    run(governor, row.t_s, 3, running);
    CAPTURE(row.t_s);
    CHECK(governor.utilisation(running) == doctest::Approx(1 - std::exp2(-row.t_s / 32.768e-3)));
    CHECK(governor.evaluate(row.t_s, GovernorEvent::tick, 3, running) == row.opp);
  }
}

TEST_CASE("Schedutil: util_est remembers the last peak and forgets a quarter of each fall") {
  const Cluster cluster = make_cluster("cpu", 2, kSteps);
  Schedutil governor(cluster, 1);
  const std::vector<TaskShare> running = {{0, 1}};
  governor.start(0, 3);
  governor.wake(running[0]);
  run(governor, 32.768e-3, 3, running);  // util 0.5
  governor.sleep(running[0]);
  CHECK(governor.task_estimate(0) == doctest::Approx(0.5));  // fast up
  run(governor, 3 * 32.768e-3, 3, {});                       // two half-lives asleep
  CHECK(governor.task_util(0) == doctest::Approx(0.125));
  // At wake-up the estimate, not the decayed average, decides: 1.25 * 0.5 = 0.625 -> 0.75 GHz.
  governor.wake(running[0]);
  CHECK(governor.utilisation(running) == doctest::Approx(0.5));
  CHECK(governor.utilisation({}) == doctest::Approx(0.125));
  CHECK(governor.evaluate(3 * 32.768e-3, GovernorEvent::wake, 3, running) == 2);
  // It sleeps at once: estimate -= (0.5 - 0.125) / 4.
  governor.sleep(running[0]);
  CHECK(governor.task_estimate(0) == doctest::Approx(0.40625));
}

TEST_CASE("Schedutil: falls of the estimate below one percent are skipped") {
  const Cluster cluster = make_cluster("cpu", 2, kSteps);
  Schedutil governor(cluster, 1);
  const std::vector<TaskShare> running = {{0, 1}};
  governor.start(0, 3);
  governor.wake(running[0]);
  run(governor, 32.768e-3, 3, running);
  governor.sleep(running[0]);
  run(governor, 32.768e-3 + 0.5e-3, 3, {});  // util 0.4947
  governor.wake(running[0]);
  governor.sleep(running[0]);
  CHECK(governor.task_estimate(0) == doctest::Approx(0.5));
}

TEST_CASE("Schedutil: a slow clock slows the ramp, and tasks that share a core each get their part") {
  const Cluster cluster = make_cluster("cpu", 1, kSteps);
  Schedutil slow(cluster, 1);
  const std::vector<TaskShare> one = {{0, 1}};
  slow.start(0, 0);
  slow.wake(one[0]);
  run(slow, 4 * 32.768e-3, 0, one);  // at a quarter of the highest clock
  CHECK(slow.task_util(0) == doctest::Approx(0.5));

  Schedutil shared(cluster, 2);
  const std::vector<TaskShare> two = {{0, 1}, {1, 1}};
  shared.start(0, 3);
  shared.wake(two[0]);
  shared.wake(two[1]);
  run(shared, 10, 3, two);  // long enough to converge: each runs half of the time, the core all of it
  CHECK(shared.task_util(0) == doctest::Approx(0.5));
  CHECK(shared.utilisation(two) == doctest::Approx(1.0));
}

TEST_CASE("Schedutil: with cores to spare the busiest core decides, not the mean") {
  const Cluster cluster = make_cluster("cpu", 4, kSteps);
  Schedutil governor(cluster, 1);
  const std::vector<TaskShare> one = {{0, 1}};
  governor.start(0, 3);
  governor.wake(one[0]);
  run(governor, 10, 3, one);
  CHECK(governor.utilisation(one) == doctest::Approx(1.0));
  CHECK(governor.evaluate(10, GovernorEvent::tick, 3, one) == 3);
}

TEST_CASE("Schedutil: changes keep the rate limit, limits do not wait") {
  // cpufreq_policy_transition_delay_us(): 1.5 times the transition latency; 1 ms where it is not known.
  CHECK(Schedutil(make_cluster("cpu", 2, kSteps), 1).rate_limit() == doctest::Approx(1e-3));
  const Cluster cluster = make_cluster("cpu", 2, kSteps, 10e-3);
  Schedutil governor(cluster, 1);
  CHECK(governor.rate_limit() == doctest::Approx(15e-3));
  const std::vector<TaskShare> running = {{0, 1}};
  governor.start(0, 0);
  governor.wake(running[0]);
  run(governor, 20e-3, 3, running);
  CHECK(governor.evaluate(20e-3, GovernorEvent::tick, 3, running) == 1);
  run(governor, 30e-3, 3, running);
  CHECK(governor.evaluate(30e-3, GovernorEvent::tick, 3, running) == 1);  // wants 2, but 10 ms < 15 ms
  run(governor, 35e-3, 3, running);
  CHECK(governor.evaluate(35e-3, GovernorEvent::tick, 3, running) == 2);
  CHECK(governor.evaluate(36e-3, GovernorEvent::limits, 0, running) == 0);
}

TEST_CASE("Schedutil: a single CPU is not slowed down before it has been idle") {
  const Cluster cluster = make_cluster("cpu", 1, kSteps);
  Schedutil governor(cluster, 2);
  const std::vector<TaskShare> both = {{0, 1}, {1, 1}};
  const std::vector<TaskShare> small = {{1, 1}};
  governor.start(0, 3);
  governor.wake(both[0]);
  const std::vector<TaskShare> large = {{0, 1}};
  run(governor, 1, 3, large);
  CHECK(governor.evaluate(1, GovernorEvent::tick, 3, large) == 3);
  governor.wake(both[1]);
  governor.sleep(both[0]);
  CHECK(governor.evaluate(1, GovernorEvent::sleep, 3, small) == 3);
  // 80 ms at a quarter of the clock: 2^(-80/32.768) of task 0 is left, 1 - 2^(-20/32.768) of task 1 is
  // there. 1.25 * 0.529 GHz would do with 0.75 GHz, but the CPU never was idle.
  governor.advance(1.08, 0, small);
  CHECK(governor.utilisation(small) ==
        doctest::Approx(std::exp2(-80 / 32.768) + 1 - std::exp2(-20 / 32.768)));
  CHECK(governor.evaluate(1.08, GovernorEvent::tick, 3, small) == 3);
  governor.sleep(small[0]);
  CHECK(governor.evaluate(1.08, GovernorEvent::sleep, 3, {}) == 2);  // now it goes idle
}

TEST_CASE("Schedutil: ticks come every 4 ms on the grid, and none while idle") {
  const Schedutil governor(make_cluster("cpu", 2, kSteps), 1);
  CHECK(governor.next_tick(0, true) == doctest::Approx(4e-3));
  CHECK(governor.next_tick(0.0051, true) == doctest::Approx(8e-3));
  CHECK(governor.next_tick(governor.next_tick(0.0051, true), true) == doctest::Approx(12e-3));
  CHECK(governor.next_tick(0, false) == Governor::kNever);
}

TEST_CASE("Podgov: a busy GPU gains a third of the highest clock per 50 ms, undamped") {
  // governor_pod_scaling.c: load above load_max: boost = max / 3, damp 10 of 10; no change within
  // block_window of the last.
  const Cluster cluster = make_cluster("gpu", 1, {0.1e9, 0.4e9, 0.5e9, 0.8e9, 0.9e9}, 0, ClusterKind::gpu);
  Podgov governor(cluster);
  const std::vector<TaskShare> running = {{0, 1}};
  governor.start(0, 0);
  int opp = 0;
  std::vector<int> seen;
  for (int i = 1; i <= 16; ++i) {
    const double now = 0.01 * i;
    governor.advance(now, opp, running);
    opp = governor.evaluate(now, GovernorEvent::tick, 4, running);
    seen.push_back(opp);
  }
  // 50 ms: 0.1 + 0.3 = 0.4 GHz; 100 ms: 0.4 + 0.3 = 0.7 -> 0.8; 150 ms: 0.8 + 0.3, clamped to 0.9.
  CHECK(seen == std::vector<int>{0, 0, 0, 0, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 4, 4});
}

TEST_CASE("Podgov: below its load target the clock falls in proportion, damped by the average request") {
  const Cluster cluster = make_cluster("gpu", 1, {0.2e9, 0.4e9, 0.6e9, 0.8e9, 1.0e9}, 0, ClusterKind::gpu);
  Podgov governor(cluster);
  governor.start(0, 4);
  governor.advance(0.06, 4, {});
  // One idle sample: idle_avg = (10 * 0 + 1) / 11, load 10/11 is above the target, but the instant load 0 is
  // below load_max: boost = 0.8 * 1 GHz * (10/11 - 0.7) / 0.7 = 0.2390 GHz; request 1.2390; freq_avg =
  // request / 11 = 0.11263; 0.7 * 1.2390 + 0.3 * 0.11263 = 0.90107 -> 1.0 GHz: no change.
  CHECK(governor.evaluate(0.06, GovernorEvent::sleep, 4, {}) == 4);
  CHECK(governor.average_load() == doctest::Approx(10.0 / 11));
  // Second: load (10/11)^2 = 0.82645; boost 0.14451; request 1.14451; freq_avg (10 * 0.11263 + 1.14451) / 11
  // = 0.20644; 0.7 * 1.14451 + 0.3 * 0.20644 = 0.86309 -> 1.0 GHz.
  governor.advance(0.07, 4, {});
  CHECK(governor.evaluate(0.07, GovernorEvent::tick, 4, {}) == 4);
  // Third: load 0.75131; boost 0.05864; request 1.05864; freq_avg 0.28391; 0.82622 -> 1.0.
  governor.advance(0.08, 4, {});
  CHECK(governor.evaluate(0.08, GovernorEvent::tick, 4, {}) == 4);
  // Fourth: load 0.68301; boost -0.01941; request 0.98059; freq_avg 0.34725; 0.79059 -> 0.8 GHz.
  governor.advance(0.09, 4, {});
  CHECK(governor.evaluate(0.09, GovernorEvent::tick, 4, {}) == 3);
  // Then nothing for 50 ms.
  governor.advance(0.13, 3, {});
  CHECK(governor.evaluate(0.13, GovernorEvent::tick, 4, {}) == 3);
}

TEST_CASE("Podgov: an idle GPU ends at its lowest clock, and its timer stops there") {
  const Cluster cluster = make_cluster("gpu", 1, {0.2e9, 0.4e9, 0.6e9, 0.8e9, 1.0e9}, 0, ClusterKind::gpu);
  Podgov governor(cluster);
  governor.start(0, 4);
  double now = 0;
  int opp = 4;
  while (governor.next_tick(now, false) != Governor::kNever && now < 5) {
    now = governor.next_tick(now, false);
    governor.advance(now, opp, {});
    opp = governor.evaluate(now, GovernorEvent::tick, 4, {});
  }
  CHECK(opp == 0);
  CHECK(now < 1);
  CHECK(governor.next_tick(now, true) == doctest::Approx(now + 0.01));
}

TEST_CASE("Podgov: a cap is kept at once") {
  const Cluster cluster = make_cluster("gpu", 1, {0.2e9, 0.4e9, 1.0e9}, 0, ClusterKind::gpu);
  Podgov governor(cluster);
  governor.start(0, 2);
  CHECK(governor.evaluate(0, GovernorEvent::limits, 1, {}) == 1);
}

}  // namespace dsn::test

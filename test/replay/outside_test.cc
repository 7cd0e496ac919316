// SPDX-License-Identifier: Apache-2.0
// What comes from outside: heat, power modes, hotplug, memory traffic, what becomes of arrivals that find the
// application busy.
#include <doctest/doctest.h>

#include <cmath>

#include "dsn/replay/simulator.h"
#include "dsn/replay/thermal.h"
#include "fixture.h"

namespace dsn::test {
namespace {

using doctest::Approx;

// 0.5 and 1 GHz, two cores; a level of 0.1 s at 1 GHz with one thread.
Workload board(Trace trace, std::vector<double> levels = {0.1}, int threads = 1) {
  return make_workload(std::move(trace), make_platform({make_cluster("cpu", 2, {0.5e9, 1.0e9})}),
                       {{{"cpu", threads, std::move(levels)}}});
}

SimResult run(const Workload& workload, const std::string& governor = "performance") {
  ScriptedPolicy policy;
  return simulate(workload, policy, with_governor(governor));
}

TraceEvent at(double at_s, decltype(TraceEvent::what) what) {
  return {at_s, "/events/0", std::move(what)};
}

}  // namespace

TEST_CASE("Heat: one time constant covers 63 % of the way to the balance") {
  Heat heat({25, 10, 20, 0}, 1);
  CHECK(heat.temp_c() == Approx(35));
  heat.advance(20, 5);
  CHECK(heat.temp_c() == Approx(75 - 40 * std::exp(-1.0)));
  heat.advance(1e6, 0);
  CHECK(heat.temp_c() == Approx(25));
  CHECK(heat.highest_c() == Approx(75 - 40 * std::exp(-1.0)));
  CHECK_FALSE(heat.throttles());
}

TEST_CASE("simulate: a hot device lowers its clock until it is below the trip point") {
  Workload workload =
      board(make_trace(100, {make_app("a", 1, 1, 100)}, {{"c", "", {busy_phase("cpu", 0, 100, 2)}}}));
  // Balance at 1 GHz: 25 + 10 * (2 + 2.1) = 66 degrees, at 0.5 GHz 25 + 10 * (2 + 1.05) = 55.5.
  workload.platform.thermal = {25, 10, 5, 60};
  const SimResult hot = run(workload);
  REQUIRE(hot.highest_c.has_value());
  CHECK(*hot.highest_c > 59.9);
  CHECK(*hot.highest_c < 60.5);  // within one look of the trip
  CHECK(hot.throttled_s > 30);
  CHECK(hot.clusters[0].opp_s[0] > 30);
  CHECK(hot.clusters[0].opp_s[1] > 5);
  workload.platform.thermal.throttle_c = 0;
  const SimResult free = run(workload);
  CHECK(*free.highest_c == Approx(66).epsilon(1e-3));
  CHECK(free.throttled_s == 0);
  workload.trace.events = {at(50, AmbientEvent{45})};
  CHECK(*run(workload).highest_c == Approx(86).epsilon(1e-3));
}

TEST_CASE("simulate: a power mode caps clusters and takes CPUs offline") {
  Trace trace = make_trace(2, {make_app("a", 1, 1, 2)});
  trace.events = {at(0.5, ModeEvent{"low"})};
  Workload workload = board(trace, {0.1}, 2);
  workload.platform.modes = {{"low", {{"cpu", 0.6e9}}, {}, 1}};
  const SimResult result = run(workload);
  // At 0 s: 0.1 s. At 1 s: half the clock, and two threads on one core.
  CHECK(result.apps[0].latency.samples()[0] == Approx(0.1));
  CHECK(result.apps[0].latency.samples()[1] == Approx(0.4));
  CHECK(result.clusters[0].opp_s[1] == Approx(0.5));
  workload.trace.events = {at(0.5, HotplugEvent{{"cpu", ""}, 1})};
  CHECK(run(workload).apps[0].latency.samples()[1] == Approx(0.2));
}

TEST_CASE("check_workload: a mode, CPUs and a temperature that the platform does not have are named") {
  Workload workload = board(make_trace(2, {make_app("a", 1, 1, 2)}));
  workload.platform.modes = {{"low", {}, {}, 0}};
  const auto refusal = [&](decltype(TraceEvent::what) what) {
    workload.trace.events = {at(1, std::move(what))};
    return error_message(ErrorCode::bad_input, [&] { check_workload(workload); });
  };
  CHECK(refusal(ModeEvent{"high"}).find("(low)") != std::string::npos);
  CHECK(refusal(HotplugEvent{{"cpu", ""}, 3}).find("expected 1 to 2") != std::string::npos);
  CHECK(refusal(AmbientEvent{40}).find("no thermal model") != std::string::npos);
  CHECK(refusal(ModeEvent{"low"}).empty());
}

TEST_CASE("simulate: memory traffic slows what no frequency shortens, and only that") {
  // T(f) = 0.05 GHz s / f + 0.05 s: half of it waits for memory at 1 GHz.
  const Platform platform = make_platform({make_cluster("cpu", 2, {0.5e9, 1.0e9})});
  AppModel model = make_model(platform, {{"cpu", 1, {0.1}}});
  for (auto& [point, entry] : model.lut.levels[0].at) entry.latency_s = 0.05e9 / point.freq_hz + 0.05;
  ContenderPhase traffic = busy_phase("cpu", 0, 1.5, 1);
  traffic.memory_share = 0.5;
  Workload workload;
  workload.trace = make_trace(3, {make_app("a", 1, 1, 3)}, {{"c", "", {traffic}}});
  workload.costs.emplace_back(model.family, model.lut, platform);
  workload.platform = platform;
  const std::vector<double> latency = run(workload).apps[0].latency.samples();
  REQUIRE(latency.size() == 3);
  CHECK(latency[1] == Approx(0.05 + 0.1));  // a core is free, half the bandwidth is not
  CHECK(latency[2] == Approx(0.1));
  const std::vector<double> slow = run(workload, "powersave").apps[0].latency.samples();
  CHECK(slow[1] == Approx(0.1 + 0.1));
}

TEST_CASE("simulate: a contender with runtime_s is busy by the clock on the wall, whatever the frequency") {
  ContenderPhase phase = busy_phase("cpu", 0, 1, 2);
  phase.period_s = 0.1;
  phase.runtime_s = 0.03;
  for (const char* governor : {"performance", "powersave"}) {
    CAPTURE(governor);
    const SimResult result =
        run(board(make_trace(1, {make_app("a", 1, 5, 1)}, {{"c", "", {phase}}}), {1e-6}), governor);
    CHECK(result.clusters[0].busy_core_s == Approx(10 * 2 * 0.03).epsilon(1e-3));
  }
}

TEST_CASE("simulate: what becomes of arrivals that find the application busy") {
  // 0.1 s of work every 0.06 s, six arrivals.
  Trace trace = make_trace(0.36, {make_app("a", 0.5, 0.06, 0.36)});
  const auto stats = [&](OnOverrun overrun) {
    trace.apps[0].on_overrun = overrun;
    const AppStats app = run(board(trace)).apps[0];
    CHECK(app.arrivals == 6);
    CHECK(app.arrivals == app.completed + app.skipped + app.unfinished);
    return app;
  };
  CHECK(stats(OnOverrun::skip).skipped == 3);     // 0, 0.12, 0.24 run
  CHECK(stats(OnOverrun::queue).completed == 3);  // at 0.1, 0.2, 0.3; the fourth runs at the end
  CHECK(stats(OnOverrun::queue).unfinished == 3);
  // 0 runs to 0.1; 0.06 starts 0.04 late, to 0.2; 0.12 would be 0.08 late: dropped; 0.18 starts 0.02 late, to
  // 0.3; 0.24 would be 0.06 late: a whole period, dropped; 0.3 runs at once.
  const AppStats late = stats(OnOverrun::late);
  CHECK(late.completed == 3);
  CHECK(late.skipped == 2);
  // Each new arrival ends the one before: only the last could be done.
  const AppStats aborted = stats(OnOverrun::abort);
  CHECK(aborted.skipped == 5);
  CHECK(aborted.unfinished == 1);
}

TEST_CASE("LatencySamples: exact while few, a histogram within 0.1 % when many, in bounded memory") {
  LatencySamples few, many;
  for (int i = 1; i <= 1000; ++i) few.add(i * 1e-3);
  CHECK(few.exact());
  CHECK(*few.quantiles({0.5})[0] == Approx(0.5005));
  CHECK_FALSE(few.quantiles({0.9999})[0].has_value());
  const int n = 300'000;
  for (int i = 1; i <= n; ++i) many.add(i * 1e-6);
  CHECK_FALSE(many.exact());
  CHECK(many.samples().capacity() == 0);
  CHECK(many.size() == n);
  CHECK(*many.mean() == Approx((n + 1) / 2.0 * 1e-6));
  CHECK(*many.largest() == n * 1e-6);
  for (const double q : {0.01, 0.5, 0.99})
    CHECK(*many.quantiles({q})[0] == Approx(q * n * 1e-6).epsilon(2e-3));
}

}  // namespace dsn::test

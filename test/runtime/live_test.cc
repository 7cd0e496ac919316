// SPDX-License-Identifier: Apache-2.0
// Accounting of the live loop, on a fake CPU.
#include "dsn/runtime/live.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../fakes/contended_cpu.h"
#include "../fakes/fake_frames.h"
#include "../fakes/live_fakes.h"
#include "../fakes/small_family.h"
#include "dsn/core/error.h"

using namespace dsn;
using namespace dsn::fakes;

namespace {

struct Rig {
  ContendedCpu cpu;
  CpuClock clock{cpu};
  CpuExecutor executor{cpu, kLatencies};
  FakeFrames frames;
  Preprocessing preprocessing;
  CostTable costs = plain_costs();
  Platform platform = plain_platform();
  Scripted policy;
  LiveOptions options;
  TestJob job;
  FrequencyControl* frequencies = nullptr;
  std::vector<LiveRecord> records;

  Rig() {
    cpu.jitter = 0;
    options.target_s = 5e-3;
    options.period_s = 5e-3;
    options.warmup = 0;
  }
  void always(int level) {
    policy.choose = [level](const SystemView&) {
      Decision decision;
      decision.apps[0] = {level, 0};
      decision.opp.fill(kLeaveToGovernor);
      return decision;
    };
  }
  RunSummary run() {
    const ManagedParts parts{executor, preprocessing, costs, platform, policy, frequencies, nullptr, clock};
    return run_live(
        parts, frames, options, [&](const LiveRecord& record) { records.push_back(record); }, job);
  }
};

Platform three_opps() {
  Platform platform;
  platform.clusters.push_back(cluster_of("cpu", 2, {1e9, 1.5e9, 2e9}));
  return platform;
}

void use_three_opps(Rig& rig, FakeFrequencies& control) {
  rig.platform = three_opps();
  Lut lut;
  for (int level = 0; level < 6; ++level)
    for (const double freq_hz : {1e9, 2e9})
      add_row(lut, level, {"cpu", 1, freq_hz, 1},
              kLatencies[static_cast<std::size_t>(level)] * 2e9 / freq_hz);
  rig.costs = CostTable(family_of(kAccuracies), lut, rig.platform);
  rig.frequencies = &control;
}

}  // namespace

TEST_CASE("run_live: fixed rate counts latency from the schedule, and sleeps between arrivals") {
  Rig rig;
  rig.always(3);
  rig.options.max_frames = 100;
  const RunSummary summary = rig.run();
  CHECK(summary.completed == 100);
  CHECK(summary.skipped == 0);
  CHECK(*summary.met_share() == 1);
  CHECK(summary.duration_s == doctest::Approx(99 * 5e-3 + 2.06e-3).epsilon(0.01));
  REQUIRE(rig.records.size() == 100);
  CHECK(rig.records[10].scheduled_s == doctest::Approx(50e-3));
  CHECK(rig.records[10].start_s == doctest::Approx(50e-3 + ContendedCpu::kWakeDelay));
  CHECK(rig.records[10].latency_s() == doctest::Approx(2e-3 + ContendedCpu::kWakeDelay));
  CHECK(summary.latency.quantile(0.5).value() == doctest::Approx(2.06e-3).epsilon(0.002));
  CHECK(rig.policy.waited_s[10] == doctest::Approx(ContendedCpu::kWakeDelay));
  CHECK(summary.slowdown_mean == doctest::Approx(1));
}

TEST_CASE("run_live: closed loop schedules the next frame when the last is done") {
  Rig rig;
  rig.always(5);
  rig.options.period_s = 0;
  rig.options.duration_s = 0.1;
  const RunSummary summary = rig.run();
  CHECK(summary.completed == 31);  // 31 * 3.3 ms > 100 ms
  CHECK(rig.records[7].scheduled_s == doctest::Approx(7 * 3.3e-3));
  CHECK(rig.records[7].latency_s() == doctest::Approx(3.3e-3));
  CHECK(rig.policy.waited_s[7] == doctest::Approx(0));
}

TEST_CASE("run_live: overrun skip drops what is late by a period and counts it as missed") {
  Rig rig;
  rig.always(5);  // 3.3 ms every 2 ms
  rig.options.period_s = 2e-3;
  rig.options.target_s = 3.4e-3;
  rig.options.max_frames = 100;
  const RunSummary summary = rig.run();
  CHECK(summary.arrivals() == 100);
  CHECK(summary.skipped > 20);
  CHECK(summary.completed + summary.skipped == 100);
  CHECK(summary.met < summary.completed);
  CHECK(*summary.met_share() == doctest::Approx(summary.met / 100.0));
  std::int64_t dropped = 0, skipped = 0;
  for (const Completion& done : rig.policy.seen) dropped += done.dropped;
  for (const LiveRecord& record : rig.records) {
    skipped += record.skipped;
    CHECK_FALSE((record.skipped && record.met()));
    if (!record.skipped) CHECK(record.start_s - record.scheduled_s < 2e-3 + 1e-9);
  }
  CHECK(dropped == summary.skipped);
  CHECK(skipped == summary.skipped);
  CHECK(rig.frames.given == 101);
}

TEST_CASE("run_live: overrun queue runs everything, later and later") {
  Rig rig;
  rig.always(5);
  rig.options.period_s = 2e-3;
  rig.options.overrun = Overrun::queue;
  rig.options.max_frames = 50;
  const RunSummary summary = rig.run();
  CHECK(summary.completed == 50);
  CHECK(summary.skipped == 0);
  CHECK(rig.records[49].latency_s() == doctest::Approx(49 * 1.3e-3 + 3.3e-3));
}

TEST_CASE("run_live: ends with the frames, and accuracy is over labelled frames only") {
  Rig rig;
  rig.always(0);
  rig.frames = FakeFrames(7);
  SUBCASE("right") {
    const RunSummary summary = rig.run();
    CHECK(summary.completed == 7);
    CHECK(*summary.accuracy() == 1);
    CHECK(*summary.expected_accuracy() == doctest::Approx(kAccuracies[0]));
  }
  SUBCASE("wrong") {
    rig.executor.answer = 2;
    CHECK(*rig.run().accuracy() == 0);
  }
  SUBCASE("unlabelled") {
    rig.frames.label = std::nullopt;
    const RunSummary summary = rig.run();
    CHECK_FALSE(summary.accuracy());
    CHECK(summary.to_json()["accuracy"].is_null());
    CHECK(summary.to_json().contains("accuracy_reason"));
  }
}

TEST_CASE("run_live: switches, counts and time at each level add up") {
  Rig rig;
  int calls = 0;
  rig.policy.choose = [&](const SystemView&) {
    Decision decision;
    decision.apps[0].level = calls++ < 60 ? 1 : 4;
    return decision;
  };
  rig.options.max_frames = 100;
  const RunSummary summary = rig.run();
  CHECK(summary.switches == 1);
  CHECK(summary.levels[1].count == 60);
  CHECK(summary.levels[4].count == 40);
  CHECK(summary.levels[4].met == 40);
  CHECK(summary.levels[1].time_s == doctest::Approx(0.3));
  double time_s = 0;
  for (const RunSummary::AtLevel& level : summary.levels) time_s += level.time_s;
  CHECK(time_s == doctest::Approx(summary.duration_s));
}

TEST_CASE("run_live: the warm-up runs every level and is not counted") {
  Rig rig;
  rig.always(2);
  rig.options.warmup = 4;
  rig.options.max_frames = 10;
  const RunSummary summary = rig.run();
  CHECK(rig.executor.inferences == 6 * 4 + 10);
  CHECK(summary.completed == 10);
  CHECK(rig.records[0].scheduled_s == 0);
}

TEST_CASE("run_live: a wish to stop ends the run within a sleep and keeps what was measured") {
  Rig rig;
  rig.always(0);
  rig.options.period_s = 1;
  rig.job.stop = [&] { return rig.cpu.now_s() > 3.25; };
  const RunSummary summary = rig.run();
  CHECK(summary.interrupted);
  CHECK(summary.completed == 4);
  CHECK(summary.duration_s < 3.4);
}

TEST_CASE("run_live: sets OPPs that are decided, and puts frequencies back at the end") {
  Rig rig;
  FakeFrequencies control;
  use_three_opps(rig, control);
  int calls = 0;
  rig.policy.choose = [&](const SystemView& view) {
    CHECK(view.clusters[0].min_opp == 0);
    CHECK(view.clusters[0].max_opp == 2);
    Decision decision;
    decision.opp[0] = calls < 5 ? 1 : (calls < 8 ? 0 : kLeaveToGovernor);
    if (calls == 6) CHECK(view.clusters[0].opp == 0);
    ++calls;
    return decision;
  };
  rig.options.max_frames = 10;
  const RunSummary summary = rig.run();
  CHECK(control.log == std::vector<std::string>{"set 0 1", "set 0 0", "restore"});
  CHECK(summary.opp_switches == 2);
  CHECK(rig.records[0].opp == 1);
  CHECK(rig.records[9].opp == 2);
}

TEST_CASE("run_live: a policy sees the OPP that the kernel gave, and one that was undone is set again") {
  Rig rig;
  FakeFrequencies control;
  use_three_opps(rig, control);
  control.cap = 1;
  rig.options.period_s = 0.1;
  rig.options.max_frames = 8;
  int calls = 0;
  rig.policy.choose = [&](const SystemView& view) {
    if (calls > 0) CHECK(view.clusters[0].opp == 1);
    control.lost = calls == 4;  // as after suspend
    ++calls;
    Decision decision;
    decision.opp[0] = 2;
    return decision;
  };
  (void)rig.run();
  CHECK(control.log == std::vector<std::string>{"set 0 2", "set 0 2", "restore"});
}

TEST_CASE("run_live: frequencies are put back when a run throws") {
  Rig rig;
  FakeFrequencies control;
  use_three_opps(rig, control);
  int calls = 0;
  rig.policy.choose = [&](const SystemView&) {
    Decision decision;
    decision.apps[0].level = calls++ < 3 ? 0 : 99;
    return decision;
  };
  CHECK_THROWS_AS(rig.run(), Error);
  CHECK(control.log == std::vector<std::string>{"set 0 0", "restore"});
}

TEST_CASE("run_live: a frequency that cannot be set is one warning, and the run goes on") {
  Rig rig;
  FakeFrequencies control;
  use_three_opps(rig, control);
  control.refuse = true;
  rig.options.max_frames = 10;
  CHECK(rig.run().completed == 10);
  REQUIRE(rig.job.warnings.size() == 1);
  CHECK(rig.job.warnings[0].find("cannot set policy0") != std::string::npos);
}

TEST_CASE("run_live: observing only reads frequencies and leaves no OPP to choose") {
  Rig rig;
  FakeFrequencies control;
  use_three_opps(rig, control);
  control.present = 1;
  rig.options.move_frequencies = false;
  rig.options.max_frames = 5;
  rig.policy.choose = [&](const SystemView& view) {
    CHECK(view.clusters[0].opp == 1);
    CHECK(view.clusters[0].min_opp == view.clusters[0].max_opp);
    return Decision{};
  };
  (void)rig.run();
  CHECK(control.log.empty());
}

TEST_CASE("run_live: options that make no sense are bad usage, channels that do not fit a mismatch") {
  const auto code = [](const std::function<void(Rig&)>& spoil) {
    Rig rig;
    rig.options.max_frames = 1;
    spoil(rig);
    try {
      (void)rig.run();
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::failed;
  };
  CHECK(code([](Rig& rig) { rig.options.target_s = 0; }) == ErrorCode::bad_usage);
  CHECK(code([](Rig& rig) { rig.options.period_s = -1; }) == ErrorCode::bad_usage);
  CHECK(code([](Rig& rig) { rig.options.probability = 1.5; }) == ErrorCode::bad_usage);
  CHECK(code([](Rig& rig) {
          rig.preprocessing = Preprocessing{3, {0, 0, 0}, {1, 1, 1}};
        }) == ErrorCode::mismatch);
}

TEST_CASE("run_live: records and summary become JSON without silent nulls") {
  Rig rig;
  rig.always(1);
  rig.options.max_frames = 3;
  const RunSummary summary = rig.run();
  const Json record = to_json(rig.records[2], rig.costs, "app");
  CHECK(record["level"] == 1);
  CHECK(record["placement"] == "cpu, 1 thread");
  CHECK(record["met"] == true);
  CHECK(record["label"] == 1);
  CHECK(record["latency_s"].get<double>() == doctest::Approx(1.16e-3));
  const Json json = summary.to_json();
  CHECK(json["policy"] == "scripted");
  CHECK(json["latency"]["p99_s"].is_null());  // of three
  CHECK(json["latency"].contains("p99_s_reason"));
  CHECK(json["levels"].size() == 6);
  CHECK_NOTHROW((void)dump_json(json));
}

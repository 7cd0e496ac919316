// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/trace_import.h"

#include <doctest/doctest.h>

#include <fstream>

#include "../fakes/temp_folder.h"
#include "dsn/core/file.h"
#include "dsn/core/random.h"
#include "dsn/replay/arrivals.h"
#include "dsn/replay/trace.h"
#include "fixture.h"

namespace dsn::test {
namespace {

using doctest::Approx;

ImportOptions with_bundle() {
  ImportOptions options;
  options.bundle = "b";
  return options;
}

class Recording {
 public:
  explicit Recording(const std::string& text) { write_file_atomic(folder_ / "r", text); }
  [[nodiscard]] Json import(const std::string& format, const ImportOptions& options = with_bundle()) const {
    return import_trace(format, folder_ / "r", options);
  }
  [[nodiscard]] Trace trace(const std::string& format, const ImportOptions& options = with_bundle()) const {
    return parse_trace(import(format, options), "t", "/");
  }
  [[nodiscard]] std::string refusal(const std::string& format, ErrorCode code,
                                    const ImportOptions& options = with_bundle()) const {
    return error_message(code, [&] { (void)import(format, options); });
  }

 private:
  fakes::TempFolder folder_;
};

// Header and rows of Azure's 2019 format: `count` invocations in each of the minutes given.
std::string azure2019(
    const std::vector<std::pair<std::string, std::vector<std::pair<int, int>>>>& functions) {
  std::string text = "HashOwner,HashApp,HashFunction,Trigger";
  for (int m = 1; m <= 1440; ++m) text += "," + std::to_string(m);
  for (const auto& [name, minutes] : functions) {
    std::vector<int> counts(1440, 0);
    for (const auto& [minute, count] : minutes) counts[static_cast<std::size_t>(minute - 1)] = count;
    text += "\no,a," + name + ",http";
    for (const int count : counts) text += "," + std::to_string(count);
  }
  return text + "\n";
}

}  // namespace

TEST_CASE("import csv: times in any unit and order, tasks of their own, targets that change") {
  const Recording recording(
      "task,arrival_ms,target_s\r\nb,1500,0.2\na,1000,0.1\nb,1200,0.1\n# note\na,2000,0.1\n");
  const Trace trace = recording.trace("csv");
  REQUIRE(trace.apps.size() == 2);
  CHECK(trace.apps[0].phases[0].arrivals.times_s == std::vector<double>{0.0, 1.0});
  CHECK(trace.apps[1].phases[0].arrivals.times_s == std::vector<double>{0.2, 0.5});
  CHECK(trace.apps[1].target_s == 0.1);
  REQUIRE(trace.events.size() == 1);
  CHECK(trace.events[0].at_s == 0.5);
  CHECK(std::get<SetEvent>(trace.events[0].what).target_s == 0.2);
  CHECK(trace.duration_s == Approx(1.25));  // one mean gap after the last
}

TEST_CASE("import csv: what is wrong is named with its line") {
  CHECK(Recording("").refusal("csv", ErrorCode::bad_input).find("line 1") != std::string::npos);
  CHECK(Recording("time\n1\n").refusal("csv", ErrorCode::bad_input).find("arrival_s") != std::string::npos);
  CHECK(Recording("arrival_s\n1\nx\n").refusal("csv", ErrorCode::bad_input).find("line 3: found 'x'") !=
        std::string::npos);
  CHECK(Recording("arrival_s\n-1\n").refusal("csv", ErrorCode::bad_input).find("line 2") !=
        std::string::npos);
  CHECK(Recording("arrival_s,task\n1\n").refusal("csv", ErrorCode::bad_input).find("1 columns, expected 2") !=
        std::string::npos);
  CHECK(Recording("arrival_s\n").refusal("csv", ErrorCode::bad_input).find("no arrival") !=
        std::string::npos);
  CHECK(Recording("arrival_s\n" + std::string(1 << 21, '1'))
            .refusal("csv", ErrorCode::bad_input)
            .find("line 2") != std::string::npos);
  CHECK_FALSE(Recording("arrival_s\n1\n").refusal("cvs", ErrorCode::bad_usage).empty());
  CHECK_FALSE(Recording("arrival_s\n1\n").refusal("csv", ErrorCode::bad_usage, ImportOptions{}).empty());
}

TEST_CASE("import azure2019: minutes keep their counts, a day can be compressed and scaled to a rate") {
  const Recording recording(azure2019({{"f1", {{1, 3}, {720, 10}}}, {"f2", {{720, 20}, {1440, 7}}}}));
  const std::vector<double> all = recording.trace("azure2019").apps[0].phases[0].arrivals.times_s;
  REQUIRE(all.size() == 40);
  CHECK(all[2] < 60);
  CHECK(all[3] >= 719 * 60);
  CHECK(all[32] < 720 * 60);
  CHECK(all[33] >= 1439 * 60);
  ImportOptions options = with_bundle();
  options.select = "f2";
  options.compress = 720;  // a day in two minutes
  options.mean_rate_hz = 4.5;
  const Trace trace = recording.trace("azure2019", options);
  CHECK(trace.duration_s == Approx(120));
  CHECK(std::abs(static_cast<double>(trace.apps[0].phases[0].arrivals.times_s.size()) - 540.0) <= 1);
  options.select = "f3";
  CHECK(recording.refusal("azure2019", ErrorCode::not_found, options).find("f3") != std::string::npos);
}

TEST_CASE("import azure2021: arrivals are ends less durations, thinned to a rate by seed") {
  std::string text = "app,func,end_timestamp,duration\n";
  for (int i = 0; i < 1000; ++i) text += "a,f," + std::to_string(100 + i) + ".5,0.5\n";
  const Recording recording(text);
  const std::vector<double> times = recording.trace("azure2021").apps[0].phases[0].arrivals.times_s;
  REQUIRE(times.size() == 1000);
  CHECK(times[0] == 0.0);
  CHECK(times[999] == Approx(999));
  ImportOptions options = with_bundle();
  options.mean_rate_hz = 0.3;
  const std::size_t kept = recording.trace("azure2021", options).apps[0].phases[0].arrivals.times_s.size();
  CHECK(kept > 240);
  CHECK(kept < 360);
  options.mean_rate_hz = 3;
  CHECK(recording.refusal("azure2021", ErrorCode::bad_usage, options).find("per second") !=
        std::string::npos);
}

TEST_CASE("import loadgen: a server run is Poisson at its rate with its target, percentile and length") {
  const Recording recording(R"(:::MLLOG {"key": "effective_scenario", "value": "Server", "time_ms": 0.1}
noise in between
:::MLLOG {"key": "effective_target_qps", "value": 250, "time_ms": 0.1}
:::MLLOG {"key": "effective_target_latency_ns", "value": 15000000, "time_ms": 0.1}
:::MLLOG {"key": "effective_target_latency_percentile", "value": 0.99, "time_ms": 0.1}
:::MLLOG {"key": "effective_min_duration_ms", "value": 60000, "time_ms": 0.1}
:::MLLOG {"key": "effective_schedule_rng_seed", "value": 16159082839903944936, "time_ms": 0.1}
)");
  const Trace trace = recording.trace("loadgen");
  CHECK(trace.duration_s == 60);
  CHECK(trace.apps[0].target_s == Approx(0.015));
  CHECK(trace.apps[0].phases[0].arrivals.process == ArrivalProcess::poisson);
  CHECK(trace.apps[0].phases[0].arrivals.period_s == Approx(0.004));
  CHECK(trace.apps[0].on_overrun == OnOverrun::queue);
  CHECK(trace.seed == 16159082839903944936u >> 1);
  CHECK(Recording("x\n").refusal("loadgen", ErrorCode::bad_input).find("effective_scenario") !=
        std::string::npos);
  CHECK(Recording(":::MLLOG {\"key\": \"effective_scenario\", \"value\": \"Offline\"}\n")
            .refusal("loadgen", ErrorCode::bad_input)
            .find("Offline") != std::string::npos);
  CHECK(Recording(":::MLLOG {\"key\"\n").refusal("loadgen", ErrorCode::bad_input).find("line 1") !=
        std::string::npos);
}

TEST_CASE("import rt-app: tasks become contenders, the selected one the application's rhythm") {
  const Recording recording(R"({
    /* as rt-app's tutorial writes them */
    "global": {"duration": 10},
    "tasks": {
      "cam": {"loop": -1, "run": 3000, "timer": {"ref": "t", "period": 33333}},
      "train": {"instance": 2, "delay": 1000000, "loop": 1, "phases": {
        "light": {"loop": 100, "run": 5000, "sleep": 15000},
        "wall": {"loop": 10, "runtime": 50000, "timer": {"ref": "u", "period": 100000}},
        "rest": {"loop": 1, "sleep": 1000000},
        "full": {"loop": -1, "run": 10000}}}}})");
  ImportOptions options = with_bundle();
  options.select = "cam";
  options.cluster = "gpu";
  const Trace trace = recording.trace("rt-app", options);
  REQUIRE(trace.apps.size() == 1);
  CHECK(trace.apps[0].phases[0].arrivals.period_s == Approx(0.033333));
  REQUIRE(trace.contenders.size() == 1);
  const std::vector<ContenderPhase>& phases = trace.contenders[0].phases;
  REQUIRE(phases.size() == 3);
  CHECK(phases[0].start_s == Approx(1));
  CHECK(phases[0].run_s == Approx(0.005));
  CHECK(phases[0].period_s == Approx(0.02));
  CHECK(phases[0].threads == 2);
  CHECK(phases[0].cluster.name == "gpu");
  CHECK(phases[1].start_s == Approx(3));
  CHECK(phases[1].runtime_s == Approx(0.05));
  CHECK(phases[2].start_s == Approx(5));  // after a second of rest
  CHECK(phases[2].period_s == 0);
  options.select = "camera";
  CHECK(recording.refusal("rt-app", ErrorCode::bad_usage, options).find("camera") != std::string::npos);
  options.select = "a";
  CHECK(Recording(R"({"global": {"duration": 1}, "tasks": {"a": {"lock": "m"}}})")
            .refusal("rt-app", ErrorCode::bad_input, options)
            .find("/tasks/a/lock") != std::string::npos);
  CHECK(Recording(R"({"global": {"duration": -1}, "tasks": {}})")
            .refusal("rt-app", ErrorCode::bad_input, options)
            .find("/global/duration") != std::string::npos);
}

TEST_CASE("import run-log: what contention did comes out of the log as factors on the look-up table") {
  // Level 0 takes 10 ms alone, level 1 20 ms: 15 ms of level 0, then 40 ms of level 1 that waited 5 ms, then
  // one dropped.
  const Recording recording(
      R"({"scheduled_s": 0, "target_s": 0.05, "skipped": false, "level": 0, "done_s": 0.015, "placement": "cpu, 1 thread", "opp": 0}
{"scheduled_s": 0.01, "target_s": 0.05, "skipped": false, "level": 1, "done_s": 0.055, "placement": "cpu, 1 thread", "opp": 0}
{"scheduled_s": 0.02, "target_s": 0.05, "skipped": true, "level": 1}
)");
  const Platform platform = make_platform({make_cluster("cpu", 2, {1e9})});
  const AppModel model = make_model(platform, {{"cpu", 1, {0.01, 0.02}}});
  const CostTable costs(model.family, model.lut, platform);
  ImportOptions options = with_bundle();
  options.costs = &costs;
  const Trace trace = recording.trace("run-log", options);
  const std::vector<double>& factors = trace.apps[0].phases[0].arrivals.factors;
  REQUIRE(factors.size() == 3);
  CHECK(factors[0] == Approx(1.5));
  CHECK(factors[1] == Approx(2.0));
  CHECK(factors[2] == Approx(2.0));
  CHECK(trace.apps[0].on_overrun == OnOverrun::late);
  CHECK(trace.apps[0].target_s == 0.05);
  CHECK(recording.trace("run-log").apps[0].phases[0].arrivals.factors.empty());
  CHECK(Recording("{}\n").refusal("run-log", ErrorCode::bad_input).find("scheduled_s") != std::string::npos);
}

TEST_CASE("import_trace: damaged recordings are refused, or give a trace that can be read") {
  const std::string originals[] = {
      azure2019({{"f1", {{1, 3}, {720, 10}}}}), "arrival_s,task,target_s\n1,a,0.1\n2,b,0.2\n3,a,0.3\n",
      R"({"global": {"duration": 3}, "tasks": {"cam": {"run": 3000, "timer": {"period": 33333}}, "b": {"phases": {"x": {"loop": 3, "run": 10, "sleep": 20}}}}})",
      "{\"scheduled_s\": 0, \"target_s\": 0.05, \"skipped\": false, \"level\": 0, \"done_s\": 0.015}\n"};
  const char* formats[] = {"azure2019", "csv", "rt-app", "run-log"};
  Rng rng(5);
  int refused = 0, read = 0;
  for (int i = 0; i < 400; ++i) {
    const std::size_t which = rng.below(4);
    std::string text = originals[which];
    for (std::uint64_t n = 1 + rng.below(3); n > 0; --n) {
      const std::size_t at = rng.below(text.size());
      if (rng.below(2) == 0) {
        text[at] = static_cast<char>(rng.below(256));
      } else {
        text.erase(at, 1 + rng.below(5));
      }
    }
    ImportOptions options = with_bundle();
    if (which == 2) options.select = "cam";
    try {
      (void)Recording(text).trace(formats[which], options);
      ++read;
    } catch (const Error& error) {
      ++refused;
      CHECK((error.code() == ErrorCode::bad_input || error.code() == ErrorCode::bad_usage ||
             error.code() == ErrorCode::not_found));
    }
  }
  CHECK(refused > 50);
  CHECK(read > 20);
}

}  // namespace dsn::test

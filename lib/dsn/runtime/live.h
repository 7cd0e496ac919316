// SPDX-License-Identifier: Apache-2.0
// The live loop of `dsn run`: real inferences of one or several applications under one policy.
//
// Each application has a thread, an executor and arrivals of its own; decisions are made one after another
// (live_manager.h). Latency counts from the scheduled arrival until the logits are there. It includes waiting
// for the inference before, waking up, deciding, switching the level and preprocessing (resize and normalise,
// at the level's resolution). It excludes decoding: the frame is fetched before its arrival, where there is
// time, as a camera would deliver it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/runtime/goal_changes.h"
#include "dsn/runtime/goal_schedule.h"
#include "dsn/runtime/managed.h"

namespace dsn {

// What happens to an arrival that finds the one before still running.
enum class Overrun {
  skip,   // once it is late by a whole period it is dropped, and is a missed deadline
  queue,  // it waits its turn, however long
  abort,  // it waits its turn; but what has not ended by its deadline is given up there, between two blocks
          // of the network, and is a missed deadline; what starts after its deadline is dropped
};

// Goal::period_s is a fixed rate; 0: closed loop, a frame arrives when the one before is done.
struct AppOptions : Goal {
  Overrun overrun = Overrun::skip;
  double start_s = 0;           // its first arrival, from the run's beginning
  double duration_s = 0;        // no arrival at or after start_s plus this; 0: no limit
  std::int64_t max_frames = 0;  // arrivals; 0: no limit
  int warmup = 3;               // inferences per level and thread count before the run, not counted
};

// An application of a run. It leaves when its frames or its time end.
struct LiveApp {
  std::string name;
  AppParts parts;
  FrameSource& frames;
  AppOptions options;
};

// What may come from outside while it runs; each may be missing.
struct LiveInputs {
  GoalChanges* changes = nullptr;          // of as many applications
  const GoalSchedule* schedule = nullptr;  // of as many applications; what was posted later counts
  double look_s = 0.1;  // a wish to stop, and the end of a pause, are seen at least so often
};

// Called once per arrival with the application's index, between its inferences and never twice at a time.
using AppRecordSink = std::function<void(std::size_t app, const LiveRecord& record)>;

struct AppOutcome {
  RunSummary summary;
  std::optional<Error> failure;  // what ended it before its time; the others went on
};

// Runs until every application has left, or `job` wants to stop: that too returns the summaries, marked
// interrupted. Frequencies that were set, and affinity, are put back on every way out. What an executor, an
// input, the sink or the policy throws at an application ends that one alone. Throws Error{bad_usage} for
// options that make no sense, Error{mismatch} for preprocessing that does not fit, and what policy.check()
// throws. stop_requested() of `job` and the clock are used by several threads.
[[nodiscard]] std::vector<AppOutcome> run_live(const ManagerParts& manager, std::span<const LiveApp> apps,
                                               const LiveInputs& inputs = {}, const AppRecordSink& sink = {},
                                               Job& job = silent_job());

// One application alone: the same, in fewer words.
struct LiveOptions : AppOptions {
  bool move_frequencies = true;  // false: FrequencyControl is only read
};
struct ManagedParts {
  Executor& executor;
  const Preprocessing& preprocessing;
  const CostTable& costs;
  const Platform& platform;
  Policy& policy;
  FrequencyControl* frequencies = nullptr;
  LoadMonitor* load = nullptr;
  Clock& clock = monotonic_clock();
};
using RecordSink = std::function<void(const LiveRecord&)>;
// Throws what ended it, too.
[[nodiscard]] RunSummary run_live(const ManagedParts& parts, FrameSource& frames, const LiveOptions& options,
                                  const RecordSink& sink = {}, Job& job = silent_job());

}  // namespace dsn

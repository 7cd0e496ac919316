// SPDX-License-Identifier: Apache-2.0
// The live loop of `dsn run`: real inferences of one application under a policy.
//
// Latency counts from the scheduled arrival until the logits are there. It includes waiting for the inference
// before, waking up, deciding, switching the level and preprocessing (resize and normalise, at the level's
// resolution). It excludes decoding: the frame is fetched before its arrival, where there is time, as a
// camera would deliver it.
#pragma once

#include <cstdint>
#include <functional>

#include "dsn/runtime/managed.h"

namespace dsn {

// What happens to an arrival that finds the one before still running.
enum class Overrun {
  skip,   // once it is late by a whole period it is dropped, and is a missed deadline
  queue,  // it waits its turn, however long
};

// Goal::period_s is a fixed rate; 0: closed loop, a frame arrives when the one before is done.
struct LiveOptions : Goal {
  Overrun overrun = Overrun::skip;
  double duration_s = 0;         // no arrival at or after this time; 0: no limit
  std::int64_t max_frames = 0;   // arrivals; 0: no limit
  int warmup = 3;                // inferences per level and thread count before the run, not counted
  bool move_frequencies = true;  // false: FrequencyControl is only read
};

// Called once per arrival, between inferences.
using RecordSink = std::function<void(const LiveRecord&)>;

// Runs until the frames, the duration or max_frames end, or `job` wants to stop: that too returns the
// summary, marked interrupted. Frequencies that were set and the process's affinity are put back on every way
// out. A frequency that cannot be set is a warning, and its cluster is left alone from then on. Throws
// Error{bad_usage} for options that make no sense, and what executor, frames, sink and policy.check() throw.
[[nodiscard]] RunSummary run_live(const ManagedParts& parts, FrameSource& frames, const LiveOptions& options,
                                  const RecordSink& sink = {}, Job& job = silent_job());

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// What happened when: the same replay once more, recorded, for people to look at. As a page (page.h), policy
// beside policy, or as a Chrome trace (chrome://tracing, https://ui.perfetto.dev).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/core/json.h"
#include "dsn/replay/page.h"
#include "dsn/replay/replay.h"

namespace dsn {

// By bins of equal length; of applications nothing where no inference ended.
struct AppTimeline {
  std::vector<std::optional<double>> level;      // of the last inference
  std::vector<std::optional<double>> latency_s;  // the longest
  std::vector<std::optional<double>> target_s;
};

struct PolicyTimeline {
  std::string policy;
  std::vector<std::optional<double>> power_w;               // mean
  std::vector<std::optional<double>> temp_c;                // at the end; nothing without a thermal model
  std::vector<std::vector<std::optional<double>>> freq_hz;  // at the end, by cluster
  std::vector<AppTimeline> apps;
  std::vector<InferenceRecord> inferences;  // with keep_inferences
};

struct Timeline {
  std::vector<double> end_s;  // of bins
  std::vector<PolicyTimeline> policies;
};

struct TimelineOptions {
  int bins = 1000;
  bool keep_inferences = false;  // 120 bytes each
};

// The policies of `replay`, but the oracle, which has no time line, with the first seed.
[[nodiscard]] Timeline record_timeline(const LoadedWorkload& loaded, const ReplayOptions& replay,
                                       const TimelineOptions& options, Job& job = silent_job());

[[nodiscard]] Page replay_page(const LoadedWorkload& loaded, const Json& report, const Timeline& timeline);

// Trace Event JSON: a process per policy, a row per application with its inferences, counters of power,
// clocks and temperature. Needs keep_inferences.
[[nodiscard]] std::string chrome_trace(const LoadedWorkload& loaded, const Timeline& timeline);

}  // namespace dsn

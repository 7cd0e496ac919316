// SPDX-License-Identifier: Apache-2.0
// Foreign recordings made into traces (`dsn.trace`). What a recording does not say (the model, its target)
// comes from ImportOptions; everything that was assumed is in the document's "warnings".
//
//   csv         a header, then a row per arrival: arrival_s, arrival_ms or arrival_us; optional: task,
//   target_s azure2019   Azure Functions 2019 (Shahrad et al., ATC'20): invocations per minute of one day,
//   columns 1 to 1440; arrivals are
//               spread evenly at random inside their minute
//   azure2021   Azure Functions 2021 (Zhang et al., SOSP'21): app,func,end_timestamp,duration; arrival = end
//   - duration loadgen     mlperf_log_detail.txt of MLPerf LoadGen: Server arrivals at the scheduled rate,
//   streams at their mean latency rt-app      rt-app JSON with comments: run, runtime, sleep and timer; tasks
//   become contenders, one the application run-log     the log of `dsn run --log`: arrivals, targets, and
//   what contention did to each inference
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/runtime/policy.h"

namespace dsn {

struct ImportOptions {
  // Of the applications. Paths go into the trace as they are.
  std::string bundle, family, lut, platform;
  double target_s = 0.1;
  double probability = 0.99, min_accuracy = 0;
  std::string on_overrun;  // empty: skip, of a run log as it was
  std::uint64_t seed = 1;

  double compress = 1;                 // times are divided by it; the shape stays
  std::optional<double> mean_rate_hz;  // after that: counts are scaled to it, single arrivals thinned
  std::string select;   // azure: "sum" or a function's hash; rt-app: the task that is the application
  std::string cluster;  // rt-app: of contenders; empty: the platform's first
  const CostTable* costs = nullptr;  // run-log: of the bundle that ran, to tell contention from choice
};

inline constexpr std::size_t kMaxImported = 5'000'000;  // arrivals

[[nodiscard]] std::vector<std::string> import_formats();

// The trace, checked as any other. Throws Error{bad_usage | bad_input | not_found | io}; bad input names
// file, line and what was found.
[[nodiscard]] Json import_trace(const std::string& format, const fs::path& path,
                                const ImportOptions& options);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Series of accuracy against latency from files: families, fronts, published figures and tables.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/platform/platform.h"

namespace dsn {

struct SeriesPoint {
  double accuracy = 0;              // fraction
  std::optional<double> latency_s;  // above 0
  Json config;                      // null when the file has none
};

struct PointSeries {
  std::string name;  // "levels", "front", "gpu/dynamic_ofa"
  std::vector<SeriesPoint> points;
  std::string accuracy_is,
      latency_is;  // where the numbers come from: "measured at (cpu, 1 thread)", "predicted", "as published"
};

// A `dsn.family` has the series "levels" and, where a search wrote it, "front" (of what is on it). Any other
// file: each array, however deep, of objects with "top1" (percent) or "accuracy" (fraction) and maybe
// "latency_ms" or "latency_s" and "config" is a series, named by the keys that lead to it. Throws
// Error{bad_input} naming file and path, and when there is no series.
[[nodiscard]] std::vector<PointSeries> read_series(const Json& document, const std::string& file);

// Those of FILE, or of FILE#NAME that one, or all whose names begin with NAME and a slash. A family's levels
// have the latencies of the look-up table beside it where that has every level, at the cluster and threads of
// the search (of a family without one, where its slowest level is fastest); else those predicted. latency_is
// says which. Throws as read_series(), Error{not_found} naming those there are, and what Lut::load() throws.
[[nodiscard]] std::vector<PointSeries> load_series(const std::string& file_and_name);

}  // namespace dsn

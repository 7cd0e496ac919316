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
      latency_is;  // where the numbers come from: "measured", "predicted", "as published"
};

// A `dsn.family` has the series "levels" and, where a search wrote it, "front" (of what is on it). Any other
// file: each array, however deep, of objects with "top1" (percent) or "accuracy" (fraction) and maybe
// "latency_ms" or "latency_s" and "config" is a series, named by the keys that lead to it. Throws
// Error{bad_input} naming file and path, and when there is no series.
[[nodiscard]] std::vector<PointSeries> read_series(const Json& document, const std::string& file);

// Those of FILE, or of FILE#NAME that one, or all whose names begin with NAME and a slash. Throws as
// read_series(), and Error{not_found} naming those there are.
[[nodiscard]] std::vector<PointSeries> load_series(const std::string& file_and_name);

}  // namespace dsn

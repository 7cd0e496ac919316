// SPDX-License-Identifier: Apache-2.0
// Two series of accuracy against latency: how much faster one is at equal accuracy, how much better at equal
// latency.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/search/point_series.h"

namespace dsn {

// At one point of the baseline's front, against the other's front interpolated linearly between its points.
// Beyond its ends nothing is extrapolated: its fastest point stands for every accuracy below, and its most
// accurate one for every longer latency.
struct ComparedPoint {
  SeriesPoint baseline;
  std::optional<double> latency_s;  // of the other where it has the baseline's accuracy; none: it never does
  std::optional<double> accuracy;   // of the other at the baseline's latency; none: it is never that fast
  [[nodiscard]] std::optional<double> speed_up() const;  // baseline latency / latency_s
  [[nodiscard]] std::optional<double> gain() const;      // accuracy - baseline accuracy
};

struct Comparison {
  std::string baseline;
  std::vector<ComparedPoint> points;  // of the baseline's front, ascending
  // Largest of all points.
  std::optional<double> best_speed_up, best_gain;
  // At the baseline's best: the speed-up at its most accurate point, the gain at its most accurate point
  // within the latencies that both have.
  std::optional<double> top_speed_up, top_gain;
};

// How the numbers are defined, in words for people.
[[nodiscard]] std::string comparison_definition();

// Throws Error{bad_input} naming a series of which no point has a latency.
[[nodiscard]] Comparison compare_series(const PointSeries& ours, const PointSeries& baseline);

// Index of the strongest baseline: the one with the most accurate point, of equal ones the faster there.
// Precondition: not empty, each compared.
[[nodiscard]] std::size_t strongest(const std::vector<Comparison>& comparisons);

[[nodiscard]] Json to_json(const Comparison& comparison);

}  // namespace dsn

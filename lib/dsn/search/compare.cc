// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/search/json_parts.h"
#include "dsn/search/pareto.h"

namespace dsn {
namespace {

std::vector<SeriesPoint> front_of(const PointSeries& series) {
  std::vector<SeriesPoint> timed, front;
  std::vector<ParetoPoint> points;
  for (const SeriesPoint& point : series.points) {
    if (!point.latency_s) continue;
    timed.push_back(point);
    points.push_back({*point.latency_s, point.accuracy});
  }
  if (timed.empty())
    throw Error(ErrorCode::bad_input,
                fmt::format("series \"{}\": found no latency, expected one per point", series.name));
  for (const std::size_t i : pareto_front(points)) front.push_back(timed[i]);
  return front;
}

double mix(double x, double x0, double x1, double y0, double y1) {
  return y0 + (y1 - y0) * (x - x0) / (x1 - x0);
}

std::optional<double> latency_at(const std::vector<SeriesPoint>& front, double accuracy) {
  if (accuracy > front.back().accuracy) return std::nullopt;
  std::size_t i = 0;
  while (front[i].accuracy < accuracy) ++i;
  if (i == 0) return front[0].latency_s;
  return mix(accuracy, front[i - 1].accuracy, front[i].accuracy, *front[i - 1].latency_s,
             *front[i].latency_s);
}

std::optional<double> accuracy_at(const std::vector<SeriesPoint>& front, double latency_s) {
  if (latency_s < *front.front().latency_s) return std::nullopt;
  if (latency_s >= *front.back().latency_s) return front.back().accuracy;
  std::size_t i = 1;
  while (*front[i].latency_s < latency_s) ++i;
  return mix(latency_s, *front[i - 1].latency_s, *front[i].latency_s, front[i - 1].accuracy,
             front[i].accuracy);
}

void keep_largest(std::optional<double>& largest, const std::optional<double>& value) {
  if (value && (!largest || *value > *largest)) largest = value;
}

}  // namespace

std::optional<double> ComparedPoint::speed_up() const {
  return latency_s ? std::optional<double>(*baseline.latency_s / *latency_s) : std::nullopt;
}

std::optional<double> ComparedPoint::gain() const {
  return accuracy ? std::optional<double>(*accuracy - baseline.accuracy) : std::nullopt;
}

std::string comparison_definition() {
  return "at each point of the baseline's Pareto front: speed-up is its latency over ours at its accuracy, "
         "gain is our accuracy at its latency less its own. Ours is interpolated linearly on our front; "
         "below "
         "our least accurate point that one's latency counts, beyond our slowest point that one's accuracy, "
         "and nothing where we are never as accurate or as fast. best: the largest of all points. at its "
         "top: "
         "speed-up at the baseline's most accurate point, gain at its most accurate point within the "
         "latencies of our front.";
}

Comparison compare_series(const PointSeries& ours, const PointSeries& baseline) {
  const std::vector<SeriesPoint> front = front_of(ours);
  Comparison result;
  result.baseline = baseline.name;
  for (const SeriesPoint& point : front_of(baseline)) {
    ComparedPoint compared{point, latency_at(front, point.accuracy), accuracy_at(front, *point.latency_s)};
    keep_largest(result.best_speed_up, compared.speed_up());
    keep_largest(result.best_gain, compared.gain());
    result.top_speed_up = compared.speed_up();
    if (compared.gain() && *point.latency_s <= *front.back().latency_s) result.top_gain = compared.gain();
    result.points.push_back(std::move(compared));
  }
  return result;
}

std::size_t strongest(const std::vector<Comparison>& comparisons) {
  const auto weaker = [](const Comparison& a, const Comparison& b) {
    const SeriesPoint &x = a.points.back().baseline, &y = b.points.back().baseline;
    return std::pair(x.accuracy, -*x.latency_s) < std::pair(y.accuracy, -*y.latency_s);
  };
  return static_cast<std::size_t>(std::max_element(comparisons.begin(), comparisons.end(), weaker) -
                                  comparisons.begin());
}

Json to_json(const Comparison& comparison) {
  const char* never_accurate = "the other series never has that accuracy";
  const char* never_fast = "the other series is never that fast";
  Json points = Json::array();
  for (const ComparedPoint& point : comparison.points) {
    Json row = {{"latency_s", *point.baseline.latency_s}, {"accuracy", point.baseline.accuracy}};
    put_or_reason(row, "speed_up", point.speed_up(), never_accurate);
    put_or_reason(row, "gain", point.gain(), never_fast);
    points.push_back(std::move(row));
  }
  Json json = {{"baseline", comparison.baseline}, {"points", std::move(points)}};
  put_or_reason(json, "best_speed_up", comparison.best_speed_up, never_accurate);
  put_or_reason(json, "best_gain", comparison.best_gain, never_fast);
  put_or_reason(json, "top_speed_up", comparison.top_speed_up, never_accurate);
  put_or_reason(json, "top_gain", comparison.top_gain, "no latencies in common");
  return json;
}

}  // namespace dsn

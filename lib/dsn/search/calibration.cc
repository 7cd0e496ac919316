// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "dsn/core/error.h"
#include "dsn/core/stats.h"

namespace dsn {
namespace {

struct Knots {
  std::vector<double> x, y;
};

struct Pool {
  double sum = 0;
  int weight = 0;
  int knots = 0;
  [[nodiscard]] double mean() const { return sum / weight; }
};

// Without the point number `left_out`, if there is one of that number.
Knots pool_violators(std::span<const double> predicted, std::span<const double> measured,
                     std::size_t left_out) {
  std::map<double, Pool> by_prediction;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    if (i == left_out) continue;
    Pool& pool = by_prediction[predicted[i]];
    pool.sum += measured[i];
    pool.weight += 1;
    pool.knots = 1;
  }
  std::vector<Pool> pools;
  Knots knots;
  for (const auto& [prediction, pool] : by_prediction) {
    knots.x.push_back(prediction);
    pools.push_back(pool);
    while (pools.size() > 1 && pools[pools.size() - 2].mean() >= pools.back().mean()) {
      const Pool last = pools.back();
      pools.pop_back();
      pools.back().sum += last.sum;
      pools.back().weight += last.weight;
      pools.back().knots += last.knots;
    }
  }
  for (const Pool& pool : pools)
    knots.y.insert(knots.y.end(), static_cast<std::size_t>(pool.knots), pool.mean());
  return knots;
}

// x within the knots' range.
double between(const std::vector<double>& xs, const std::vector<double>& ys, double x) {
  const auto above = static_cast<std::size_t>(std::lower_bound(xs.begin(), xs.end(), x) - xs.begin());
  if (above == 0 || xs[above] == x) return ys[above];
  const double share = (x - xs[above - 1]) / (xs[above] - xs[above - 1]);
  return ys[above - 1] + share * (ys[above] - ys[above - 1]);
}

}  // namespace

Calibration Calibration::fit(std::span<const double> predicted, std::span<const double> measured) {
  const auto is_fraction = [](double value) { return value >= 0 && value <= 1; };
  if (predicted.size() != measured.size() || !std::all_of(measured.begin(), measured.end(), is_fraction) ||
      !std::all_of(predicted.begin(), predicted.end(), [](double value) { return std::isfinite(value); })) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("calibration: found {} predictions and {} measurements, expected "
                            "as many, and measured accuracies from 0 to 1",
                            predicted.size(), measured.size()));
  }
  Calibration result;
  Knots knots = pool_violators(predicted, measured, predicted.size());
  if (knots.x.size() < 2) {
    throw Error(
        ErrorCode::bad_usage,
        fmt::format("calibration: found {} measured sub-networks that are predicted differently, expected at "
                    "least 2",
                    knots.x.size()),
        "measure more sub-networks");
  }
  Quality& quality = result.quality_;
  quality.count = static_cast<int>(predicted.size());
  quality.kendall_tau = dsn::kendall_tau(predicted, measured);
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    const double share = 1 / static_cast<double>(predicted.size());
    quality.bias += (predicted[i] - measured[i]) * share;
    quality.mae += std::abs(predicted[i] - measured[i]) * share;
    const Knots others = pool_violators(predicted, measured, i);
    const double x = std::clamp(predicted[i], others.x.front(), others.x.back());
    quality.held_out_mae += std::abs(between(others.x, others.y, x) - measured[i]) * share;
  }
  result.predicted_ = std::move(knots.x);
  result.measured_ = std::move(knots.y);
  return result;
}

std::optional<double> Calibration::operator()(double predicted) const {
  if (!(predicted >= lowest() && predicted <= highest())) return std::nullopt;
  return between(predicted_, measured_, predicted);
}

}  // namespace dsn

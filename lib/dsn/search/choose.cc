// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/choose.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "dsn/core/stats.h"

namespace dsn {
namespace {

constexpr double kDeviationOfMad = 1.4826;  // of a normal distribution
constexpr double kMostNoise = 0.25;  // more says that the machine was busy, not how far levels are apart
constexpr int kLeastSamples = 10;

// Costs at one operating point, as shares of the range of their logarithms.
struct CostShares {
  std::vector<double> x;
  double range = 0;

  explicit CostShares(const std::vector<double>& costs) : x(costs.size()) {
    const auto [low, high] = std::minmax_element(costs.begin(), costs.end());
    range = std::log(*high / *low);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = range > 0 ? std::log(costs[i] / *low) / range : 0;
  }
};

class Gaps {
 public:
  Gaps(std::vector<CostShares> shares, double noise)
      : shares_(std::move(shares)), least_(std::log1p(noise)) {}

  // The mean over operating points of a step's length to `power`.
  [[nodiscard]] double mean_step(std::size_t i, std::size_t j, int power) const {
    double sum = 0;
    for (const CostShares& s : shares_) {
      const double step = std::max(s.x[j] - s.x[i], 0.0);
      sum += power == 2 ? step * step : step;
    }
    return sum / static_cast<double>(shares_.size());
  }
  [[nodiscard]] bool distinct(std::size_t i, std::size_t j) const {
    return std::any_of(shares_.begin(), shares_.end(),
                       [&](const CostShares& s) { return (s.x[j] - s.x[i]) * s.range > least_; });
  }

 private:
  std::vector<CostShares> shares_;
  double least_;
};

}  // namespace

std::vector<std::size_t> choose_levels(std::span<const ParetoPoint> front, std::size_t count, double noise) {
  return choose_levels(front, {}, count, noise);
}

std::vector<std::size_t> choose_levels(std::span<const ParetoPoint> front,
                                       const std::vector<std::vector<double>>& elsewhere, std::size_t count,
                                       double noise) {
  const std::size_t n = front.size();
  if (n == 0 || count == 0) return {};
  std::vector<double> costs;
  for (const ParetoPoint& point : front) costs.push_back(point.cost);
  std::vector<CostShares> shares{CostShares(costs)};
  for (const auto& other : elsewhere) shares.emplace_back(other);
  const Gaps gaps(std::move(shares), noise);
  const double low_value = front.front().value, value_range = front.back().value - low_value;
  if (n == 1 || count == 1 || !gaps.distinct(0, n - 1)) return {n - 1};

  std::vector<double> y(n);
  for (std::size_t i = 0; i < n; ++i) y[i] = (front[i].value - low_value) / value_range;
  const double steps = static_cast<double>(count - 1);
  // loss[m][j]: least loss of m + 1 points of which the last is j. A step of length g costs its unevenness,
  // (count - 1) g^2 (all steps even sum to 1), less the value that its lower end gives the budgets inside it.
  const double infinite = std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> loss(count, std::vector<double>(n, infinite));
  std::vector<std::vector<std::size_t>> from(count, std::vector<std::size_t>(n, 0));
  loss[0][0] = 0;
  for (std::size_t j = 1; j < n; ++j) {
    for (std::size_t i = 0; i < j; ++i) {
      if (!gaps.distinct(i, j)) continue;
      const double own = steps * gaps.mean_step(i, j, 2) - y[i] * gaps.mean_step(i, j, 1);
      for (std::size_t m = 1; m < count; ++m) {
        const double total = loss[m - 1][i] + own;
        if (total < loss[m][j]) {
          loss[m][j] = total;
          from[m][j] = i;
        }
      }
    }
  }
  std::size_t most = count - 1;
  while (loss[most][n - 1] == infinite) --most;  // one step from end to end is always there
  std::vector<std::size_t> picked(most + 1);
  std::size_t at = n - 1;
  for (std::size_t m = most + 1; m-- > 0; at = from[m][at]) picked[m] = at;
  return picked;
}

double measured_noise(const Lut& lut, const OperatingPoint& point) {
  std::vector<double> scatter;
  for (const LutLevel& level : lut.levels) {
    const auto entry = level.at.find(point);
    if (entry != level.at.end() && entry->second.latency_s > 0 && entry->second.samples >= kLeastSamples)
      scatter.push_back(kDeviationOfMad * entry->second.mad_s / entry->second.latency_s);
  }
  return scatter.empty() ? 0 : std::min(median(scatter), kMostNoise);
}

}  // namespace dsn

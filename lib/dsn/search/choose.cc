// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/choose.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dsn {

std::vector<std::size_t> choose_levels(std::span<const ParetoPoint> front, std::size_t count, double noise) {
  const std::size_t n = front.size();
  if (n == 0 || count == 0) return {};
  const double low_value = front.front().value, value_range = front.back().value - low_value;
  const double log_range = std::log(front.back().cost / front.front().cost);
  const double least_gap = std::log1p(noise);
  if (n == 1 || count == 1 || !(log_range > least_gap)) return {n - 1};

  std::vector<double> x(n), y(n);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = std::log(front[i].cost / front.front().cost) / log_range;
    y[i] = (front[i].value - low_value) / value_range;
  }
  const double steps = static_cast<double>(count - 1);
  // loss[m][j]: least loss of m + 1 points of which the last is j. A step of length g costs its unevenness,
  // (count - 1) g^2 (all steps even sum to 1), less the value that its lower end gives the budgets inside it.
  const double infinite = std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> loss(count, std::vector<double>(n, infinite));
  std::vector<std::vector<std::size_t>> from(count, std::vector<std::size_t>(n, 0));
  loss[0][0] = 0;
  for (std::size_t m = 1; m < count; ++m) {
    for (std::size_t j = 1; j < n; ++j) {
      for (std::size_t i = 0; i < j; ++i) {
        const double gap = x[j] - x[i];
        if (gap * log_range <= least_gap) break;
        const double total = loss[m - 1][i] + steps * gap * gap - y[i] * gap;
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

}  // namespace dsn

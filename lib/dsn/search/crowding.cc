// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/crowding.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace dsn {

std::vector<double> crowding_distances(std::span<const double> costs, const std::vector<int>& ranks,
                                       std::size_t objectives) {
  std::vector<double> distance(ranks.size(), 0);
  std::vector<std::size_t> order(ranks.size());
  for (std::size_t o = 0; o < objectives; ++o) {
    const auto at = [&](std::size_t i) { return costs[i * objectives + o]; };
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(ranks[a], at(a)) < std::pair(ranks[b], at(b));
    });
    for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
      while (end < order.size() && ranks[order[end]] == ranks[order[begin]]) ++end;
      const double range = std::max(at(order[end - 1]) - at(order[begin]), 1e-12);
      distance[order[begin]] = distance[order[end - 1]] = std::numeric_limits<double>::infinity();
      for (std::size_t i = begin + 1; i + 1 < end; ++i)
        distance[order[i]] += (at(order[i + 1]) - at(order[i - 1])) / range;
    }
  }
  return distance;
}

}  // namespace dsn

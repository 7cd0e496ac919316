// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/pareto.h"

#include <algorithm>
#include <numeric>

namespace dsn {
namespace {

// Cheap first, among equal costs the valuable first, then by index.
std::vector<std::size_t> by_cost(std::span<const ParetoPoint> points) {
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return points[a].cost != points[b].cost ? points[a].cost < points[b].cost
                                            : points[a].value > points[b].value;
  });
  return order;
}

}  // namespace

bool dominates(const ParetoPoint& a, const ParetoPoint& b) noexcept {
  return a.cost <= b.cost && a.value >= b.value && (a.cost < b.cost || a.value > b.value);
}

std::vector<std::size_t> pareto_front(std::span<const ParetoPoint> points) {
  std::vector<std::size_t> front;
  for (const std::size_t i : by_cost(points)) {
    if (front.empty() || points[i].value > points[front.back()].value) front.push_back(i);
  }
  return front;
}

std::vector<int> pareto_ranks(std::span<const ParetoPoint> points) {
  std::vector<int> rank(points.size(), 0);
  // last[f]: the latest point of front f in order of cost, which is its most valuable. They fall in value
  // from front to front, so the first front that does not dominate a point is found by bisection (Jensen 2003
  // for two objectives).
  std::vector<std::size_t> last;
  for (const std::size_t i : by_cost(points)) {
    const auto front = std::partition_point(last.begin(), last.end(),
                                            [&](std::size_t f) { return dominates(points[f], points[i]); });
    rank[i] = static_cast<int>(front - last.begin());
    if (front == last.end()) {
      last.push_back(i);
    } else {
      *front = i;
    }
  }
  return rank;
}

double hypervolume(std::span<const ParetoPoint> points, const ParetoPoint& reference) {
  const std::vector<std::size_t> front = pareto_front(points);
  double area = 0;
  for (std::size_t n = 0; n < front.size(); ++n) {
    const ParetoPoint& point = points[front[n]];
    const double end =
        n + 1 < front.size() ? std::min(points[front[n + 1]].cost, reference.cost) : reference.cost;
    if (end > point.cost && point.value > reference.value)
      area += (end - point.cost) * (point.value - reference.value);
  }
  return area;
}

}  // namespace dsn

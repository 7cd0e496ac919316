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

// No worse in all objectives.
bool covers(const double* a, const double* b, std::size_t objectives) {
  for (std::size_t o = 0; o < objectives; ++o) {
    if (a[o] > b[o]) return false;
  }
  return true;
}

// In lexicographic order no point is dominated by a later one; equal ones in order of index.
std::vector<std::size_t> lexicographic(std::span<const double> costs, std::size_t objectives) {
  std::vector<std::size_t> order(costs.size() / objectives);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const double *x = costs.data() + a * objectives, *y = costs.data() + b * objectives;
    return std::lexicographical_compare(x, x + objectives, y, y + objectives);
  });
  return order;
}

std::vector<ParetoPoint> as_points(std::span<const double> costs) {
  std::vector<ParetoPoint> points(costs.size() / 2);
  for (std::size_t i = 0; i < points.size(); ++i) points[i] = {costs[2 * i], -costs[2 * i + 1]};
  return points;
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

std::vector<std::size_t> pareto_front(std::span<const double> costs, std::size_t objectives) {
  if (objectives == 2) return pareto_front(as_points(costs));
  std::vector<std::size_t> front;
  for (const std::size_t i : lexicographic(costs, objectives)) {
    const double* own = costs.data() + i * objectives;
    const auto better = [&](std::size_t f) { return covers(costs.data() + f * objectives, own, objectives); };
    if (std::none_of(front.begin(), front.end(), better)) front.push_back(i);
  }
  return front;
}

std::vector<int> pareto_ranks(std::span<const double> costs, std::size_t objectives) {
  if (objectives == 2) return pareto_ranks(as_points(costs));
  std::vector<int> rank(costs.size() / objectives, 0);
  std::vector<std::vector<std::size_t>> fronts;
  for (const std::size_t i : lexicographic(costs, objectives)) {
    const double* own = costs.data() + i * objectives;
    const auto beaten = [&](const std::vector<std::size_t>& front) {
      return std::any_of(front.rbegin(), front.rend(), [&](std::size_t f) {
        const double* other = costs.data() + f * objectives;
        return covers(other, own, objectives) && !std::equal(other, other + objectives, own);
      });
    };
    // Who is beaten by a front is beaten by all before it (Zhang et al. 2015, doi:10.1109/TEVC.2014.2308305).
    const auto front = std::partition_point(fronts.begin(), fronts.end(), beaten);
    rank[i] = static_cast<int>(front - fronts.begin());
    if (front == fronts.end()) {
      fronts.push_back({i});
    } else {
      front->push_back(i);
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

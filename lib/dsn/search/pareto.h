// SPDX-License-Identifier: Apache-2.0
// Pareto fronts of points with a cost to keep low and a value to keep high.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace dsn {

struct ParetoPoint {
  double cost = 0, value = 0;
};

// a dominates b: no worse in both, better in one.
[[nodiscard]] bool dominates(const ParetoPoint& a, const ParetoPoint& b) noexcept;

// Indices of the points that no other dominates, in ascending cost and so strictly ascending value; of equal
// points the first. O(n log n). Precondition: no NaN.
[[nodiscard]] std::vector<std::size_t> pareto_front(std::span<const ParetoPoint> points);

// Front number of each point, 0 for those that nothing dominates, 1 for those that only front 0 dominates,
// and so on. Equal points share a front. O(n log n).
[[nodiscard]] std::vector<int> pareto_ranks(std::span<const ParetoPoint> points);

// Area between `points` and the reference (a cost and a value no better than theirs); points that do not
// reach it add nothing.
[[nodiscard]] double hypervolume(std::span<const ParetoPoint> points, const ParetoPoint& reference);

// The same for any number of objectives, all to be kept low: costs[i * objectives + o]. pareto_front() is in
// ascending order of the first objective. Precondition: objectives > 0.
[[nodiscard]] std::vector<std::size_t> pareto_front(std::span<const double> costs, std::size_t objectives);
[[nodiscard]] std::vector<int> pareto_ranks(std::span<const double> costs, std::size_t objectives);

}  // namespace dsn

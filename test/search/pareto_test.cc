// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/pareto.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "dsn/core/random.h"

using dsn::dominates;
using dsn::ParetoPoint;

namespace {

// Points on a coarse grid, so that ties and equal points are common.
std::vector<ParetoPoint> grid_points(dsn::Rng& rng, std::size_t count, std::uint64_t side) {
  std::vector<ParetoPoint> points(count);
  for (ParetoPoint& point : points) {
    point = {static_cast<double>(rng.below(side)), static_cast<double>(rng.below(side))};
  }
  return points;
}

// The same by comparing all with all; of equal points the first.
std::vector<std::size_t> slow_front(const std::vector<ParetoPoint>& points) {
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < points.size(); ++i) {
    bool kept = true;
    for (std::size_t j = 0; j < points.size(); ++j) {
      const bool equal = points[i].cost == points[j].cost && points[i].value == points[j].value;
      if (dominates(points[j], points[i]) || (equal && j < i)) kept = false;
    }
    if (kept) front.push_back(i);
  }
  std::sort(front.begin(), front.end(), [&](auto a, auto b) { return points[a].cost < points[b].cost; });
  return front;
}

// Peels fronts one after another.
std::vector<int> slow_ranks(const std::vector<ParetoPoint>& points) {
  std::vector<int> rank(points.size(), -1);
  for (int front = 0; std::count(rank.begin(), rank.end(), -1) > 0; ++front) {
    std::vector<std::size_t> peeled;
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (rank[i] != -1) continue;
      bool kept = true;
      for (std::size_t j = 0; j < points.size(); ++j) {
        if (rank[j] == -1 && dominates(points[j], points[i])) kept = false;
      }
      if (kept) peeled.push_back(i);
    }
    for (const std::size_t i : peeled) rank[i] = front;
  }
  return rank;
}

}  // namespace

TEST_CASE("pareto_front: the same as by comparing all with all") {
  dsn::Rng rng(1);
  for (int round = 0; round < 300; ++round) {
    const auto points = grid_points(rng, rng.below(40), 1 + rng.below(12));
    CHECK(dsn::pareto_front(points) == slow_front(points));
  }
}

TEST_CASE("pareto_ranks: the same as by peeling front after front") {
  dsn::Rng rng(2);
  for (int round = 0; round < 300; ++round) {
    const auto points = grid_points(rng, rng.below(40), 1 + rng.below(12));
    CHECK(dsn::pareto_ranks(points) == slow_ranks(points));
  }
}

TEST_CASE("hypervolume: the same as by counting cells of the grid") {
  dsn::Rng rng(3);
  for (int round = 0; round < 200; ++round) {
    const auto points = grid_points(rng, rng.below(12), 10);
    const ParetoPoint reference{7, 2};  // some points do not reach it
    int cells = 0;
    for (int x = 0; x < 7; ++x) {
      for (int y = 2; y < 10; ++y) {
        cells += std::any_of(points.begin(), points.end(),
                             [&](const ParetoPoint& p) { return p.cost <= x && p.value >= y + 1; });
      }
    }
    CHECK(dsn::hypervolume(points, reference) == doctest::Approx(cells));
  }
}

// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/pareto.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
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

TEST_CASE("pareto_ranks and pareto_front of three objectives: as comparing all with all") {
  dsn::Rng rng(11);
  for (int round = 0; round < 20; ++round) {
    constexpr std::size_t kObjectives = 3, kCount = 120;
    std::vector<double> costs;
    for (std::size_t i = 0; i < kCount * kObjectives; ++i) costs.push_back(static_cast<double>(rng.below(8)));
    const auto beats = [&](std::size_t a, std::size_t b) {
      bool better = false;
      for (std::size_t o = 0; o < kObjectives; ++o) {
        const double x = costs[a * kObjectives + o], y = costs[b * kObjectives + o];
        if (x > y) return false;
        better = better || x < y;
      }
      return better;
    };
    // Front by front, removing what was found.
    std::vector<int> expected(kCount, -1);
    for (int rank = 0; std::count(expected.begin(), expected.end(), -1) > 0; ++rank) {
      std::vector<std::size_t> now;
      for (std::size_t i = 0; i < kCount; ++i) {
        if (expected[i] != -1) continue;
        bool beaten = false;
        for (std::size_t j = 0; j < kCount; ++j) beaten = beaten || (expected[j] == -1 && beats(j, i));
        if (!beaten) now.push_back(i);
      }
      for (const std::size_t i : now) expected[i] = rank;
    }
    CHECK(dsn::pareto_ranks(costs, kObjectives) == expected);
    const auto front = dsn::pareto_front(costs, kObjectives);
    std::set<std::vector<double>> values, wanted;
    const auto point = [&](std::size_t i) {
      return std::vector<double>(costs.begin() + static_cast<std::ptrdiff_t>(i * kObjectives),
                                 costs.begin() + static_cast<std::ptrdiff_t>((i + 1) * kObjectives));
    };
    for (const std::size_t i : front) values.insert(point(i));
    CHECK(values.size() == front.size());  // of equal points one
    for (std::size_t i = 0; i < kCount; ++i) {
      if (expected[i] == 0) wanted.insert(point(i));
    }
    CHECK(values == wanted);
    for (std::size_t n = 1; n < front.size(); ++n)
      CHECK(costs[front[n - 1] * kObjectives] <= costs[front[n] * kObjectives]);
  }
}

// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/choose.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "dsn/core/random.h"

using dsn::choose_levels;
using dsn::ParetoPoint;

namespace {

std::vector<ParetoPoint> random_front(dsn::Rng& rng, std::size_t count) {
  std::vector<ParetoPoint> front;
  double cost = 0.001, value = 0.5;
  for (std::size_t i = 0; i < count; ++i) {
    cost *= 1 + 0.3 * rng.uniform() + 1e-3;
    value += 0.01 * rng.uniform() + 1e-6;
    front.push_back({cost, value});
  }
  return front;
}

}  // namespace

TEST_CASE("choose_levels: both ends are there, in order, without repeats, and never more than asked for") {
  dsn::Rng rng(1);
  for (int round = 0; round < 100; ++round) {
    const auto front = random_front(rng, 2 + rng.below(40));
    const std::size_t count = 2 + rng.below(8);
    const auto picked = choose_levels(front, count, 0);
    REQUIRE(!picked.empty());
    CHECK(picked.size() == std::min(count, front.size()));
    CHECK(picked.front() == 0);
    CHECK(picked.back() == front.size() - 1);
    CHECK(std::adjacent_find(picked.begin(), picked.end(), std::greater_equal<>()) == picked.end());
  }
}

TEST_CASE("choose_levels: covers the logarithm of cost evenly") {
  std::vector<ParetoPoint> front;  // 64 steps from 1 ms to 64 ms, accuracy grows with the logarithm
  for (int i = 0; i <= 64; ++i) front.push_back({1e-3 * std::pow(64.0, i / 64.0), 0.8 + 0.001 * i});
  const auto picked = choose_levels(front, 5, 0);
  REQUIRE(picked.size() == 5);
  for (std::size_t n = 0; n < 5; ++n)
    CHECK(std::abs(static_cast<double>(picked[n]) - 16.0 * static_cast<double>(n)) <= 6);
}

TEST_CASE("choose_levels: of two points at nearly the same cost it takes the much more accurate one") {
  const std::vector<ParetoPoint> front = {{1, 0.50}, {2.9, 0.55}, {3.1, 0.80}, {9, 0.81}};
  CHECK(choose_levels(front, 3, 0) == std::vector<std::size_t>{0, 2, 3});
}

TEST_CASE("choose_levels: levels closer than the noise are one level") {
  dsn::Rng rng(2);
  for (int round = 0; round < 100; ++round) {
    const auto front = random_front(rng, 3 + rng.below(40));
    const auto picked = choose_levels(front, 6, 0.25);
    for (std::size_t n = 1; n < picked.size(); ++n)
      CHECK(front[picked[n]].cost > 1.25 * front[picked[n - 1]].cost);
  }
  // All within the noise: the most accurate remains.
  const std::vector<ParetoPoint> close = {{1.00, 0.5}, {1.01, 0.6}, {1.02, 0.7}};
  CHECK(choose_levels(close, 3, 0.05) == std::vector<std::size_t>{2});
}

TEST_CASE("choose_levels: empty fronts and single points are no trouble") {
  CHECK(choose_levels({}, 3, 0).empty());
  const std::vector<ParetoPoint> one = {{1, 0.5}};
  CHECK(choose_levels(one, 3, 0) == std::vector<std::size_t>{0});
  const std::vector<ParetoPoint> two = {{1, 0.5}, {2, 0.6}};
  CHECK(choose_levels(two, 1, 0) == std::vector<std::size_t>{1});
  CHECK(choose_levels(two, 0, 0).empty());
}

TEST_CASE("choose_levels: where one operating point spreads levels unlike another, both are covered") {
  // The first half of the front differs at the first point only, the second half at the other only.
  std::vector<ParetoPoint> front;
  std::vector<double> other;
  for (int i = 0; i <= 20; ++i) {
    front.push_back({std::pow(1.1, std::min(i, 10)) + 1e-6 * i, 0.5 + 0.01 * i});
    other.push_back(std::pow(1.1, std::max(i - 10, 0)));
  }
  // At the first point alone nothing tells the second half apart.
  const auto inside = [](const std::vector<std::size_t>& picked, std::size_t low, std::size_t high) {
    return std::count_if(picked.begin(), picked.end(), [&](std::size_t i) { return i > low && i < high; });
  };
  const auto alone = choose_levels(front, 5, 0.01), both = choose_levels(front, {other}, 5, 0.01);
  CHECK(inside(alone, 10, 20) == 0);
  CHECK(inside(both, 0, 10) >= 1);
  CHECK(inside(both, 10, 20) >= 1);
  CHECK(both.size() == 5);
  // One that says the same again changes nothing.
  std::vector<double> same;
  for (const ParetoPoint& point : front) same.push_back(2 * point.cost);
  CHECK(choose_levels(front, {same, same}, 5, 0.01) == alone);
}

TEST_CASE("measured_noise: the scatter of levels in a table at that point, 0 where none was measured") {
  dsn::Lut lut;
  const dsn::OperatingPoint point{"cpu", 1, 0, 1};
  CHECK(dsn::measured_noise(lut, point) == 0);
  for (const double mad : {0.01, 0.02, 0.06}) {
    dsn::LutEntry entry;
    entry.latency_s = 2e-3;
    entry.mad_s = mad * entry.latency_s;
    entry.samples = 50;
    lut.levels.push_back({{}, {{point, entry}}});
  }
  CHECK(dsn::measured_noise(lut, point) == doctest::Approx(1.4826 * 0.02));
  CHECK(dsn::measured_noise(lut, {"gpu", 1, 0, 1}) == 0);
  for (dsn::LutLevel& level : lut.levels) level.at[point].mad_s = 1e-3;
  CHECK(dsn::measured_noise(lut, point) == 0.25);  // a busy machine says nothing about levels
  for (dsn::LutLevel& level : lut.levels) level.at[point].samples = 3;
  CHECK(dsn::measured_noise(lut, point) == 0);
}

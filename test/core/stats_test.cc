// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/stats.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "support.h"

using doctest::Approx;
using V = std::vector<double>;

TEST_CASE("quantile: interpolates between order statistics as type 7 does") {
  // R: quantile(c(3, 1, 4, 1, 5), type = 7)
  const V samples{3, 1, 4, 1, 5};
  CHECK(dsn::quantile(samples, 0) == 1);
  CHECK(dsn::quantile(samples, 0.25) == 1);
  CHECK(dsn::quantile(samples, 0.5) == 3);
  CHECK(dsn::quantile(samples, 0.9) == Approx(4.6));
  CHECK(dsn::quantile(samples, 1) == 5);
  CHECK(dsn::quantile(V{7}, 0.3) == 7);
}

TEST_CASE("quantile: an infinite sample does not spoil those below it") {
  const V samples{1, 2, std::numeric_limits<double>::infinity()};
  CHECK(dsn::quantile(samples, 0.5) == 2);
  CHECK(std::isinf(dsn::quantile(samples, 1)));
}

TEST_CASE("quantile: no samples, NaN and q outside 0..1 are errors, not crashes") {
  CHECK_THROWS_AS((void)dsn::quantile(V{}, 0.5), dsn::Error);
  CHECK_THROWS_AS((void)dsn::quantile(V{1, std::nan("")}, 0.5), dsn::Error);
  CHECK_THROWS_AS((void)dsn::quantile(V{1}, 1.1), dsn::Error);
  CHECK_THROWS_AS((void)dsn::quantile(V{1}, std::nan("")), dsn::Error);
  CHECK_THROWS_AS((void)dsn::mean(V{}), dsn::Error);
}

TEST_CASE("median, mad and mean: known values; one wild sample moves the first two little") {
  const V samples{1, 2, 3, 4, 1000};
  CHECK(dsn::median(samples) == 3);
  CHECK(dsn::mad(samples) == 1);
  CHECK(dsn::mean(samples) == 202);
  CHECK(dsn::median(V{1, 2}) == 1.5);
  CHECK(dsn::mad(V{5}) == 0);
}

TEST_CASE("tail_quantile: nothing when n is too small to carry it") {
  const auto of = [](std::size_t n, double q) { return dsn::tail_quantile(V(n, 1.0), q).has_value(); };
  CHECK(of(100, 0.99));
  CHECK_FALSE(of(99, 0.99));
  CHECK(of(10, 0.9));
  CHECK_FALSE(of(9, 0.9));
  CHECK(of(20, 0.95));
  CHECK(of(1000, 0.999));
  CHECK_FALSE(of(999, 0.999));
  CHECK(of(1, 0.5));
  CHECK_FALSE(of(0, 0.5));
}

TEST_CASE("kendall_tau: 1 for the same order, -1 for the reverse, tau-b with ties") {
  const V a{1, 2, 3, 4};
  CHECK(dsn::kendall_tau(a, V{10, 20, 30, 40}) == Approx(1));
  CHECK(dsn::kendall_tau(a, V{4, 3, 2, 1}) == Approx(-1));
  // scipy.stats.kendalltau([12, 2, 1, 12, 2], [1, 4, 7, 1, 0]) = -0.4714045207910316
  CHECK(dsn::kendall_tau(V{12, 2, 1, 12, 2}, V{1, 4, 7, 1, 0}) == Approx(-0.4714045207910316));
}

TEST_CASE("kendall_tau: 0 when either is constant or there are fewer than two") {
  CHECK(dsn::kendall_tau(V{1, 1, 1}, V{1, 2, 3}) == 0);
  CHECK(dsn::kendall_tau(V{1, 2, 3}, V{1, 1, 1}) == 0);
  CHECK(dsn::kendall_tau(V{1}, V{2}) == 0);
  CHECK(dsn::kendall_tau(V{}, V{}) == 0);
  CHECK_THROWS_AS((void)dsn::kendall_tau(V{1}, V{1, 2}), dsn::Error);
}

TEST_CASE("mape: a fraction of the measured values; a measured 0 has none") {
  CHECK(dsn::mape(V{110, 80}, V{100, 100}) == Approx(0.15));
  CHECK(dsn::mape(V{-1}, V{-2}) == Approx(0.5));
  CHECK_THROWS_AS((void)dsn::mape(V{1}, V{0}), dsn::Error);
  CHECK_THROWS_AS((void)dsn::mape(V{}, V{}), dsn::Error);
  CHECK_THROWS_AS((void)dsn::mape(V{1}, V{1, 2}), dsn::Error);
}

TEST_CASE("wilson_interval: the intervals that Newcombe (1998) tabulates, and the ends") {
  // Statistics in Medicine 17, 857-872, table I, method 3.
  const std::vector<std::tuple<int, int, double, double>> cases{
      {81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0.0, 0.1611}, {1, 29, 0.0061, 0.1718}};
  for (const auto& [successes, n, low, high] : cases) {
    const dsn::Interval interval = dsn::wilson_interval(successes, n);
    CHECK(interval.low == Approx(low).epsilon(0.0005 / std::max(low, 0.01)));
    CHECK(interval.high == Approx(high).epsilon(0.0005 / high));
  }
  CHECK(dsn::wilson_interval(0, 5).low == 0);
  CHECK(dsn::wilson_interval(5, 5).high == 1);
  CHECK_THROWS_AS((void)dsn::wilson_interval(0, 0), dsn::Error);
  CHECK_THROWS_AS((void)dsn::wilson_interval(3, 2), dsn::Error);
}

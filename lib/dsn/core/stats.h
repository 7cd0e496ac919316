// SPDX-License-Identifier: Apache-2.0
// Robust statistics over samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace dsn {

// Empirical quantile, q in 0..1, linear interpolation between order statistics (Hyndman-Fan type 7). Copies
// and sorts. Precondition: not empty.
[[nodiscard]] double quantile(std::span<const double> samples, double q);
[[nodiscard]] double median(std::span<const double> samples);
// Median absolute deviation from the median (not scaled).
[[nodiscard]] double mad(std::span<const double> samples);
[[nodiscard]] double mean(std::span<const double> samples);

// The quantile, or nothing when n is too small to carry it: n * (1 - q) < 1 for q > 0.5.
[[nodiscard]] std::optional<double> tail_quantile(std::span<const double> samples, double q);

// A share of which `successes` of `n` trials were seen, with 95 % confidence: Wilson's score interval (Wilson
// 1927, doi:10.1080/01621459.1927.10502953), which stays within 0..1 and holds near its ends and for small n.
// Precondition: 0 <= successes <= n, n > 0.
struct Interval {
  double low = 0, high = 1;
};
[[nodiscard]] Interval wilson_interval(std::int64_t successes, std::int64_t n);

// Kendall's tau-b of two equally long sequences; 0 when either is constant.
[[nodiscard]] double kendall_tau(std::span<const double> a, std::span<const double> b);
// Mean absolute percentage error of `predicted` against `measured`, as a fraction.
[[nodiscard]] double mape(std::span<const double> predicted, std::span<const double> measured);

}  // namespace dsn

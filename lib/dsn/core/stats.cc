// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "dsn/core/error.h"

namespace dsn {
namespace {

// Sorting needs an order, which NaN does not have.
std::vector<double> sorted_copy(std::span<const double> samples, const char* what) {
  if (samples.empty()) throw Error(ErrorCode::failed, fmt::format("{} of no samples", what));
  if (std::any_of(samples.begin(), samples.end(), [](double x) { return std::isnan(x); }))
    throw Error(ErrorCode::failed, fmt::format("{} of samples that hold NaN", what));
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

void require_pairs(std::span<const double> a, std::span<const double> b, const char* what) {
  if (a.size() != b.size())
    throw Error(ErrorCode::failed,
                fmt::format("{} of sequences of {} and {} values", what, a.size(), b.size()));
}

int sign(double difference) {
  return (difference > 0) - (difference < 0);
}

}  // namespace

double quantile(std::span<const double> samples, double q) {
  const std::vector<double> sorted = sorted_copy(samples, "quantile");
  if (!(q >= 0 && q <= 1))
    throw Error(ErrorCode::failed, fmt::format("quantile: found q = {}, expected 0..1", q));
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto lower = static_cast<std::size_t>(position);
  if (lower + 1 >= sorted.size()) return sorted.back();
  const double weight = position - static_cast<double>(lower);
  if (weight == 0) return sorted[lower];  // keeps infinities out of the interpolation
  return sorted[lower] + weight * (sorted[lower + 1] - sorted[lower]);
}

double median(std::span<const double> samples) {
  return quantile(samples, 0.5);
}

double mad(std::span<const double> samples) {
  const double centre = median(samples);
  std::vector<double> deviations(samples.size());
  std::transform(samples.begin(), samples.end(), deviations.begin(),
                 [centre](double x) { return std::abs(x - centre); });
  return median(deviations);
}

double mean(std::span<const double> samples) {
  if (samples.empty()) throw Error(ErrorCode::failed, "mean of no samples");
  double sum = 0;
  for (const double x : samples) sum += x;
  return sum / static_cast<double>(samples.size());
}

std::optional<double> tail_quantile(std::span<const double> samples, double q) {
  // The slack lets n = 10 carry q = 0.9, though 10 * (1 - 0.9) is a little under 1 in binary.
  constexpr double kSlack = 1e-9;
  const double beyond = static_cast<double>(samples.size()) * (1 - q);
  if (samples.empty() || (q > 0.5 && beyond < 1 - kSlack)) return std::nullopt;
  return quantile(samples, q);
}

double kendall_tau(std::span<const double> a, std::span<const double> b) {
  require_pairs(a, b, "kendall_tau");
  double concordance = 0;
  double untied_a = 0;
  double untied_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = i + 1; j < a.size(); ++j) {
      const int sign_a = sign(a[i] - a[j]);
      const int sign_b = sign(b[i] - b[j]);
      concordance += sign_a * sign_b;
      untied_a += sign_a * sign_a;
      untied_b += sign_b * sign_b;
    }
  }
  if (untied_a == 0 || untied_b == 0) return 0;
  return concordance / std::sqrt(untied_a * untied_b);
}

Interval wilson_interval(std::int64_t successes, std::int64_t n) {
  if (n <= 0 || successes < 0 || successes > n) {
    throw Error(ErrorCode::failed, fmt::format("interval of {} successes in {} trials", successes, n));
  }
  constexpr double kZ = 1.959963984540054;  // 97.5 % quantile of the normal distribution
  const auto trials = static_cast<double>(n);
  const double share = static_cast<double>(successes) / trials, z2n = kZ * kZ / trials;
  const double centre = (share + z2n / 2) / (1 + z2n);
  const double half = kZ / (1 + z2n) * std::sqrt(share * (1 - share) / trials + z2n / (4 * trials));
  return {successes == 0 ? 0.0 : centre - half, successes == n ? 1.0 : centre + half};
}

double mape(std::span<const double> predicted, std::span<const double> measured) {
  require_pairs(predicted, measured, "mape");
  if (measured.empty()) throw Error(ErrorCode::failed, "mape of no samples");
  double sum = 0;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    if (measured[i] == 0)
      throw Error(ErrorCode::failed,
                  fmt::format("mape: measured value {} is 0: no relative error exists", i));
    sum += std::abs((predicted[i] - measured[i]) / measured[i]);
  }
  return sum / static_cast<double>(measured.size());
}

}  // namespace dsn

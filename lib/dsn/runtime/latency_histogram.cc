// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/latency_histogram.h"

#include <algorithm>
#include <cmath>

namespace dsn {
namespace {

constexpr double kLeast = 1e-8, kMost = 1e3;
const double kLogRatio = std::log(1.002);

}  // namespace

LatencyHistogram::LatencyHistogram()
    : bins_(static_cast<std::size_t>(std::log(kMost / kLeast) / kLogRatio) + 2) {}

void LatencyHistogram::add(double seconds) noexcept {
  const double position = std::log(std::max(seconds, kLeast) / kLeast) / kLogRatio;
  bins_[std::min(bins_.size() - 1, static_cast<std::size_t>(position))] += 1;
  smallest_ = count_ == 0 ? seconds : std::min(smallest_, seconds);
  largest_ = std::max(largest_, seconds);
  sum_ += seconds;
  ++count_;
}

double LatencyHistogram::mean() const noexcept {
  return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
}

std::optional<double> LatencyHistogram::quantile(double q) const noexcept {
  const auto n = static_cast<double>(count_);
  if (count_ == 0 || (q > 0.5 && n * (1 - q) < 1 - 1e-9)) return std::nullopt;
  const auto rank = static_cast<std::int64_t>(std::max(1.0, std::ceil(q * n - 1e-9)));
  std::int64_t seen = 0;
  std::size_t bin = 0;
  while (bin + 1 < bins_.size() && (seen += bins_[bin]) < rank) ++bin;
  const double middle = kLeast * std::exp((static_cast<double>(bin) + 0.5) * kLogRatio);
  return std::clamp(middle, smallest_, largest_);
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/latency_samples.h"

#include <algorithm>
#include <cmath>

namespace dsn {

void LatencySamples::add(double seconds) {
  ++count_;
  sum_ += seconds;
  largest_ = std::max(largest_, seconds);
  if (histogram_) {
    histogram_->add(seconds);
    return;
  }
  samples_.push_back(seconds);
  if (samples_.size() <= kExact) return;
  histogram_.emplace();
  for (const double sample : samples_) histogram_->add(sample);
  std::vector<double>().swap(samples_);  // gives the memory back, as assigning would not
}

std::optional<double> LatencySamples::mean() const noexcept {
  return count_ > 0 ? std::optional(sum_ / static_cast<double>(count_)) : std::nullopt;
}

std::optional<double> LatencySamples::largest() const noexcept {
  return count_ > 0 ? std::optional(largest_) : std::nullopt;
}

std::vector<std::optional<double>> LatencySamples::quantiles(const std::vector<double>& qs) const {
  std::vector<std::optional<double>> values;
  std::vector<double> sorted = samples_;
  std::sort(sorted.begin(), sorted.end());
  const auto n = static_cast<double>(sorted.size());
  for (const double q : qs) {
    if (histogram_) {
      values.push_back(histogram_->quantile(q));
    } else if (sorted.empty() || (q > 0.5 && n * (1 - q) < 1 - 1e-9)) {
      values.emplace_back();
    } else {
      // Linear between order statistics, as core/stats.h does it.
      const double position = q * (n - 1);
      const auto below = static_cast<std::size_t>(position);
      const std::size_t above = std::min(below + 1, sorted.size() - 1);
      values.push_back(sorted[below] +
                       (position - static_cast<double>(below)) * (sorted[above] - sorted[below]));
    }
  }
  return values;
}

bool LatencySamples::operator==(const LatencySamples& other) const noexcept {
  return count_ == other.count_ && sum_ == other.sum_ && largest_ == other.largest_ &&
         samples_ == other.samples_;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Quantiles of any number of durations in constant memory.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace dsn {

// Counts in logarithmic bins of 0.2 %, from 10 ns to about 1000 s: quantiles are within 0.1 % of a sample's
// value, smallest and largest exact. add() allocates nothing. thread-compatible.
class LatencyHistogram {
 public:
  LatencyHistogram();
  void add(double seconds) noexcept;
  [[nodiscard]] std::int64_t count() const noexcept { return count_; }
  [[nodiscard]] double largest() const noexcept { return largest_; }
  [[nodiscard]] double mean() const noexcept;
  // Nothing when there are too few samples to carry it: none at all, or n * (1 - q) < 1 for q > 0.5.
  [[nodiscard]] std::optional<double> quantile(double q) const noexcept;

 private:
  std::vector<std::int64_t> bins_;
  std::int64_t count_ = 0;
  double sum_ = 0, smallest_ = 0, largest_ = 0;
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Latencies of one application's inferences: every one while they are few, a histogram once they are many, so
// that memory is bounded however long a simulation runs.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "dsn/runtime/latency_histogram.h"

namespace dsn {

// Up to kExact samples are kept as they are, in order; the next one moves them all into a LatencyHistogram
// (within 0.1 %). Count, mean and largest are exact throughout. thread-compatible.
class LatencySamples {
 public:
  static constexpr std::size_t kExact = std::size_t{1} << 17;  // 1 MiB

  void add(double seconds);
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] bool exact() const noexcept { return !histogram_.has_value(); }
  // In order of completion; empty once there are too many.
  [[nodiscard]] const std::vector<double>& samples() const noexcept { return samples_; }

  // Nothing without samples.
  [[nodiscard]] std::optional<double> mean() const noexcept;
  [[nodiscard]] std::optional<double> largest() const noexcept;
  // Nothing when there are too few to carry them: none at all, or n * (1 - q) < 1 for q > 0.5. One sort for
  // all.
  [[nodiscard]] std::vector<std::optional<double>> quantiles(const std::vector<double>& qs) const;

  [[nodiscard]] bool operator==(const LatencySamples& other) const noexcept;

 private:
  std::vector<double> samples_;
  std::optional<LatencyHistogram> histogram_;
  std::size_t count_ = 0;
  double sum_ = 0, largest_ = 0;
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Latency over frequency: T(f) = A/f + B, A the cycles that scale with the clock, B the time bound by memory.
#pragma once

#include <span>

namespace dsn {

struct LatencyFit {
  double cycles = 0;         // A, clock cycles
  double fixed_s = 0;        // B
  double largest_error = 0;  // of the fit against its samples, as a fraction
  [[nodiscard]] double at(double freq_hz) const noexcept { return cycles / freq_hz + fixed_s; }
};

// Least squares of the relative error; A and B are never negative, so that latency never rises with the
// clock, nor falls below what it tends to. Precondition: two or more samples, all above 0.
[[nodiscard]] LatencyFit fit_latency(std::span<const double> freq_hz,
                                     std::span<const double> latency_s) noexcept;

}  // namespace dsn

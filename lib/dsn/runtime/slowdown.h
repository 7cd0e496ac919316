// SPDX-License-Identifier: Apache-2.0
// Slowdown: measured latency over the LUT's latency, tracked while it changes.
//
// A scalar Kalman filter in the form of ALERT (Wan et al., USENIX ATC 2020,
// https://arxiv.org/abs/1911.00119): one ratio for all levels, so that what one level measures says something
// about every other; process noise Q follows the innovations with forgetting. The constants are ours (see
// SlowdownOptions). Besides the filter, a window of what the filter did not explain, in seconds: pre-emption
// takes whole scheduler ticks whatever the level, so its tail is neither Gaussian nor proportional to the
// latency.
//
// No allocation; every member is noexcept. thread-compatible.
#pragma once

#include <array>
#include <cstddef>

namespace dsn {

struct SlowdownOptions {
  // The LUT was measured on this machine, but not in this process and hour: 15 % either way.
  double initial_sigma = 0.15;
  // ALERT's published floor of Q, 0.1, alone costs a third of the latency in margin per sigma. One per cent
  // of drift per inference follows a machine that warms up; steps are found by the innovations themselves.
  double q_floor = 1e-4;
  double forgetting = 0.3;  // weight of the old Q: a step is in Q after two inferences
  // Clocks, caches and interrupts move single inferences by about 2 % even where the LUT's own spread is
  // less.
  double noise_floor = 0.02;
  // More noise than this is not noise but contention: it belongs into the window, not into R.
  double noise_ceiling = 0.10;
  double outlier_sigmas = 4;  // beyond, the first does not move the mean, the second only as far as this
  int shift_after = 3;  // so many outliers in a row are the new state; twice as many if the window knows such
};

class SlowdownEstimator {
 public:
  static constexpr std::size_t kWindow = 64;
  // Fewer unexplained parts than this say nothing about a tail.
  static constexpr std::size_t kTailSamples = 32;

  explicit SlowdownEstimator(const SlowdownOptions& options = {}) noexcept;

  // An inference that should have taken `nominal_s` with relative spread `spread` took `measured_s`. Values
  // that are not finite or not above 0 are ignored. Returns -1 or 1 when that showed another state of the
  // machine, faster or slower.
  int observe(double measured_s, double nominal_s, double spread) noexcept;
  // Forgets the window, not the mean: after a step to easier work, whose tail is not that of the harder.
  void forget_tail() noexcept { count_ = next_ = 0; }

  [[nodiscard]] double mean() const noexcept { return mean_; }
  // Of the next ratio: of the state and of single inferences.
  [[nodiscard]] double variance() const noexcept { return state_variance_ + noise_; }
  [[nodiscard]] double sigma() const noexcept;
  [[nodiscard]] long observations() const noexcept { return observations_; }

  // P(latency <= limit) for work of `nominal_s`, by the normal distribution.
  [[nodiscard]] double probability(double nominal_s, double limit_s) const noexcept;
  // Empirical p-quantile of what mean() * nominal did not explain, seconds, in the last kWindow inferences;
  // the caller checks tail_known(). For p beyond what the window carries, its largest.
  [[nodiscard]] bool tail_known() const noexcept { return count_ >= kTailSamples; }
  [[nodiscard]] double tail_s(double p) const noexcept;

 private:
  void shift(double ratio) noexcept;
  void push(double unexplained_s) noexcept;
  [[nodiscard]] bool beyond_window(double unexplained_s) const noexcept;

  SlowdownOptions options_;
  double mean_ = 1;
  double state_variance_;  // P: of the mean, the coming step's Q included
  double q_;
  double gain_ = 0.5;
  double noise_;        // R
  double scatter_;      // recent squared innovations, outliers cut
  int outliers_ = 0;    // in a row, signed by direction
  bool known_ = false;  // one of them was no larger than what the window holds
  long observations_ = 0;
  std::array<float, kWindow> window_{};
  std::size_t count_ = 0, next_ = 0;
};

// Quantile of the standard normal distribution, 0 < p < 1.
[[nodiscard]] double normal_quantile(double p) noexcept;

}  // namespace dsn

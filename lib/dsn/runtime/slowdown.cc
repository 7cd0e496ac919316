// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/slowdown.h"

#include <algorithm>
#include <cmath>

namespace dsn {
namespace {

// Weight of one inference in the running scatter: about the last twenty.
constexpr double kScatterWeight = 0.05;
// An unexplained part this much larger than the window's largest is a new thing.
constexpr double kBeyond = 1.1;

double square(double x) {
  return x * x;
}

double normal_cdf(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

}  // namespace

SlowdownEstimator::SlowdownEstimator(const SlowdownOptions& options) noexcept
    : options_(options),
      state_variance_(square(options.initial_sigma)),
      q_(options.q_floor),
      noise_(square(options.noise_floor)),
      scatter_(noise_) {}

int SlowdownEstimator::observe(double measured_s, double nominal_s, double spread) noexcept {
  if (!(measured_s > 0) || !(nominal_s > 0) || !std::isfinite(measured_s) || !std::isfinite(nominal_s))
    return 0;
  const double ratio = measured_s / nominal_s;
  double innovation = ratio - mean_;
  const double unexplained_s = measured_s - mean_ * nominal_s;
  const double limit = options_.outlier_sigmas * sigma();
  ++observations_;

  if (std::abs(innovation) > limit && observations_ > 1) {
    const int direction = innovation > 0 ? 1 : -1;
    if (outliers_ * direction <= 0) {
      outliers_ = 0;
      known_ = false;
    }
    outliers_ += direction;
    known_ = known_ || (direction > 0 && !beyond_window(unexplained_s));
    const int needed = known_ ? 2 * options_.shift_after : options_.shift_after;
    if (std::abs(outliers_) >= needed) {
      shift(ratio);
      return direction;
    }
    if (std::abs(outliers_) == 1) {
      // One says nothing about the state, nor about how fast it moves: stops that come now and then would
      // raise both without end. It is in the tail.
      push(unexplained_s);
      return 0;
    }
    innovation = direction * limit;
  } else {
    outliers_ = 0;
  }
  push(unexplained_s);

  gain_ = state_variance_ / (state_variance_ + noise_);
  mean_ = std::max(mean_ + gain_ * innovation, 1e-3);
  scatter_ += kScatterWeight * (square(innovation) - scatter_);
  // The scatter holds the state's variance too: half of it is a lower bound of the noise, in keeping with
  // P + R.
  const double floor = square(std::max(spread, options_.noise_floor));
  noise_ = std::clamp(0.5 * scatter_, floor, std::max(floor, square(options_.noise_ceiling)));
  q_ = std::max(options_.q_floor,
                options_.forgetting * q_ + (1 - options_.forgetting) * square(gain_ * innovation));
  state_variance_ = (1 - gain_) * state_variance_ + q_;
  return 0;
}

// Not single pre-emptions but another state of the machine: from here, as uncertain as at first.
void SlowdownEstimator::shift(double ratio) noexcept {
  mean_ = ratio;
  state_variance_ = square(options_.initial_sigma * ratio);
  q_ = options_.q_floor;
  scatter_ = square(options_.noise_floor);
  outliers_ = 0;
  forget_tail();
}

double SlowdownEstimator::sigma() const noexcept {
  return std::sqrt(variance());
}

double SlowdownEstimator::probability(double nominal_s, double limit_s) const noexcept {
  return normal_cdf((limit_s / nominal_s - mean_) / sigma());
}

double SlowdownEstimator::tail_s(double p) const noexcept {
  if (count_ == 0) return 0;
  std::array<float, kWindow> values = window_;
  const auto begin = values.begin(), end = begin + static_cast<std::ptrdiff_t>(count_);
  const double position = std::clamp(p, 0.0, 1.0) * static_cast<double>(count_ - 1);
  const auto lower = begin + static_cast<std::ptrdiff_t>(position);
  std::nth_element(begin, lower, end);
  if (lower + 1 == end) return *lower;
  const double weight = position - std::floor(position);
  return *lower + weight * (*std::min_element(lower + 1, end) - *lower);
}

void SlowdownEstimator::push(double unexplained_s) noexcept {
  window_[next_] = static_cast<float>(unexplained_s);
  next_ = (next_ + 1) % kWindow;
  count_ = std::min(count_ + 1, kWindow);
}

bool SlowdownEstimator::beyond_window(double unexplained_s) const noexcept {
  if (count_ == 0) return true;
  const auto end = window_.begin() + static_cast<std::ptrdiff_t>(count_);
  // The outliers of the present run are in the window already: the newest does not count against itself.
  double largest = 0;
  int skip = std::abs(outliers_) - 1;
  for (auto it = window_.begin(); it != end; ++it) {
    const auto age = (next_ + kWindow - 1 - static_cast<std::size_t>(it - window_.begin())) % kWindow;
    if (static_cast<int>(age) < skip) continue;
    largest = std::max(largest, static_cast<double>(*it));
  }
  return unexplained_s > kBeyond * largest;
}

double normal_quantile(double p) noexcept {
  double low = -9, high = 9;  // beyond which a double's probability is 0 or 1
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (normal_cdf(middle) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/speed.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "dsn/core/stats.h"

namespace dsn {
namespace {

constexpr double kRunTime = 50e-6;
// Independent sums: two units with a latency of up to six cycles are busy, and sixteen registers hold them.
constexpr std::size_t kSums = 12;
constexpr std::size_t kFew = 20;  // of fewer speeds nothing is known
constexpr double kHigh = 0.9;     // a core that was idle may be faster for a moment: not the highest

using Lanes = float __attribute__((vector_size(16)));

template <std::size_t... I>
float spin(int rounds, std::index_sequence<I...>) noexcept {
  // Each starts elsewhere, or they would be one; all end up near 1, so that no value becomes special.
  Lanes sums[] = {(Lanes{} + static_cast<float>(I + 1))...};
  const Lanes by = Lanes{} + 0.999F, plus = Lanes{} + 0.001F;
  for (int i = 0; i < rounds; ++i) ((sums[I] = sums[I] * by + plus), ...);
  Lanes all = {};
  ((all += sums[I]), ...);
  return all[0] + all[1] + all[2] + all[3];
}

volatile float sink;  // the work is not left out

double seconds_of(int rounds) {
  const auto start = std::chrono::steady_clock::now();
  sink = multiply_add(rounds);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

float multiply_add(int rounds) noexcept {
  return spin(rounds, std::make_index_sequence<kSums>());
}

SpeedProbe::SpeedProbe() {
  // The shortest of a few: what interrupts one only makes it longer.
  for (rounds_ = 1000; rounds_ < 1 << 24; rounds_ *= 2) {
    double shortest = seconds_of(rounds_);
    for (int i = 0; i < 3; ++i) shortest = std::min(shortest, seconds_of(rounds_));
    if (shortest >= kRunTime / 2) break;
  }
}

double SpeedProbe::operator()() const {
  double seconds[] = {seconds_of(rounds_), seconds_of(rounds_), seconds_of(rounds_)};
  return static_cast<double>(kSums) * rounds_ / median(seconds);
}

void SpeedLog::add(double per_s) {
  speeds_.push_back(per_s);
  // Sorting for every single one would take longer than the work.
  if (speeds_.size() < kFew || speeds_.size() < judged_ + judged_ / 10) return;
  judged_ = speeds_.size();
  own_ = std::max(own_, quantile(speeds_, kHigh));
}

Lut::Speed SpeedLog::summary(double tolerance) const {
  Lut::Speed speed;
  speed.own_per_s = own_ > 0 ? own_ : quantile(speeds_, kHigh);
  speed.p50_per_s = median(speeds_);
  speed.lowest_per_s = *std::min_element(speeds_.begin(), speeds_.end());
  speed.probes = static_cast<int>(speeds_.size());
  const auto slow =
      std::count_if(speeds_.begin(), speeds_.end(), [&](double s) { return is_slow(s, tolerance); });
  speed.slow_share = static_cast<double>(slow) / static_cast<double>(speeds_.size());
  return speed;
}

}  // namespace dsn

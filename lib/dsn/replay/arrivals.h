// SPDX-License-Identifier: Apache-2.0
// Turns an application's phases into arrival times, one by one and by seed.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "dsn/core/random.h"
#include "dsn/replay/trace.h"

namespace dsn {

// What makes one inference slower or faster than the table's median, the same under every policy: a normal
// draw that the spread of level and OPP scales (log-normal: always positive), or a recorded factor.
struct LatencyDraw {
  double normal = 0;
  double factor = 0;  // 0: none was recorded
  [[nodiscard]] double on(double spread) const noexcept {
    return factor > 0 ? factor : std::exp(spread * normal);
  }
};

// Draws of an application's latency noise, one normal per arrival in order.
[[nodiscard]] Rng noise_stream(std::uint64_t seed, const std::string& app);

// thread-compatible. Every phase has a random stream of its own: editing one phase moves no arrival of
// another.
class ArrivalStream {
 public:
  static constexpr double kNone = std::numeric_limits<double>::infinity();

  ArrivalStream(const TraceApp& app, std::uint64_t seed);

  // The next arrival, never before the one returned last; kNone after the last.
  [[nodiscard]] double next();
  // Recorded factor on the latency of the arrival returned last; 0: none was recorded.
  [[nodiscard]] double factor() const noexcept { return factor_; }

 private:
  void enter(std::size_t phase);
  [[nodiscard]] double propose();
  [[nodiscard]] double mmpp(const Arrivals& arrivals);
  [[nodiscard]] double modulated(const AppPhase& phase);
  [[nodiscard]] double recorded(const AppPhase& phase);

  const TraceApp* app_;
  std::uint64_t seed_;
  std::size_t phase_ = 0;
  std::uint64_t count_ = 0;  // arrivals of this phase so far
  double now_s_ = 0;         // of the last one, for processes with independent gaps
  double expected_ = 0;      // ramp, diurnal: arrivals that the rate makes expect up to the last one
  std::size_t state_ = 0;    // mmpp
  double state_ends_s_ = 0;
  double factor_ = 0;
  Rng rng_;
};

}  // namespace dsn

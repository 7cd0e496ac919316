// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/arrivals.h"

#include <fmt/format.h>

namespace dsn {

ArrivalStream::ArrivalStream(const TraceApp& app, std::uint64_t seed) : app_(&app), seed_(seed), rng_(seed) {
  enter(0);
}

void ArrivalStream::enter(std::size_t phase) {
  phase_ = phase;
  count_ = 0;
  if (phase_ >= app_->phases.size()) return;
  now_s_ = app_->phases[phase_].start_s;
  rng_ = Rng::stream(seed_, fmt::format("arrivals/{}/{}", app_->name, phase_));
}

double ArrivalStream::next() {
  for (; phase_ < app_->phases.size(); enter(phase_ + 1)) {
    const AppPhase& phase = app_->phases[phase_];
    const Arrivals& arrivals = phase.arrivals;
    switch (arrivals.process) {
      case ArrivalProcess::periodic:
        // From the phase's start each time: no drift however many arrivals.
        now_s_ = phase.start_s + static_cast<double>(count_) * arrivals.period_s;
        if (arrivals.jitter_s > 0) now_s_ += arrivals.jitter_s * rng_.uniform();
        break;
      case ArrivalProcess::poisson:
        now_s_ += rng_.exponential(1.0 / arrivals.period_s);
        break;
      case ArrivalProcess::gamma:
        // Mean period_s and squared coefficient of variation cv2: shape 1/cv2, scale period_s * cv2.
        now_s_ += rng_.gamma(1.0 / arrivals.cv2) * arrivals.period_s * arrivals.cv2;
        break;
    }
    ++count_;
    // A multiple of a period that rounds to just below the end is the end.
    if (now_s_ < phase.start_s + phase.duration_s - 1e-9 * arrivals.period_s) return now_s_;
  }
  return kNone;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/arrivals.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace dsn {

Rng noise_stream(std::uint64_t seed, const std::string& app) {
  return Rng::stream(seed, "noise/" + app);
}

ArrivalStream::ArrivalStream(const TraceApp& app, std::uint64_t seed) : app_(&app), seed_(seed), rng_(seed) {
  enter(0);
}

void ArrivalStream::enter(std::size_t phase) {
  phase_ = phase;
  count_ = 0;
  expected_ = 0;
  state_ = 0;
  if (phase_ >= app_->phases.size()) return;
  const Arrivals& arrivals = app_->phases[phase_].arrivals;
  now_s_ = app_->phases[phase_].start_s;
  rng_ = Rng::stream(seed_, fmt::format("arrivals/{}/{}", app_->name, phase_));
  if (arrivals.process == ArrivalProcess::mmpp)
    state_ends_s_ = now_s_ + rng_.exponential(1.0 / arrivals.dwell_s.front());
}

// The gap is memoryless: at the end of a state it starts anew, at the next one's rate.
double ArrivalStream::mmpp(const Arrivals& arrivals) {
  const double end = app_->phases[phase_].start_s + app_->phases[phase_].duration_s;
  while (now_s_ < end) {
    const double rate = arrivals.rates_hz[state_];
    const double at = rate > 0 ? now_s_ + rng_.exponential(rate) : kNone;
    if (at < state_ends_s_) return at;
    now_s_ = state_ends_s_;
    state_ = (state_ + 1) % arrivals.rates_hz.size();
    state_ends_s_ = now_s_ + rng_.exponential(1.0 / arrivals.dwell_s[state_]);
  }
  return kNone;
}

// Gaps are drawn in expected arrivals and turned into time by the inverse of the expected number, which never
// falls: bisection, which is the same on every machine.
double ArrivalStream::modulated(const AppPhase& phase) {
  const Arrivals& a = phase.arrivals;
  expected_ += a.cv2 > 0 ? rng_.gamma(1.0 / a.cv2) * a.cv2 : 1.0;
  const auto expected = [&](double t) {
    if (a.process == ArrivalProcess::ramp)
      return a.from_hz * t + (a.to_hz - a.from_hz) * t * t / (2 * phase.duration_s);
    const double turn = 2 * std::numbers::pi / a.day_s;
    return (t + a.swing / turn * (std::sin(turn * (t - a.peak_s)) + std::sin(turn * a.peak_s))) / a.period_s;
  };
  double low = now_s_ - phase.start_s, high = phase.duration_s;
  if (expected(high) < expected_) return kNone;
  for (int i = 0; i < 60 && high - low > 1e-9; ++i) {
    const double middle = (low + high) / 2;
    (expected(middle) < expected_ ? low : high) = middle;
  }
  return phase.start_s + high;
}

double ArrivalStream::recorded(const AppPhase& phase) {
  const Arrivals& arrivals = phase.arrivals;
  if (count_ >= arrivals.times_s.size()) return kNone;
  if (!arrivals.factors.empty()) factor_ = arrivals.factors[count_];
  return phase.start_s + arrivals.times_s[count_];
}

double ArrivalStream::propose() {
  const AppPhase& phase = app_->phases[phase_];
  const Arrivals& arrivals = phase.arrivals;
  switch (arrivals.process) {
    case ArrivalProcess::periodic: {
      // From the phase's start each time: no drift however many arrivals.
      const double at = phase.start_s + static_cast<double>(count_) * arrivals.period_s;
      return arrivals.jitter_s > 0 ? at + arrivals.jitter_s * rng_.uniform() : at;
    }
    case ArrivalProcess::poisson:
      return now_s_ + rng_.exponential(1.0 / arrivals.period_s);
    case ArrivalProcess::gamma:
      // Mean period_s and squared coefficient of variation cv2: shape 1/cv2, scale period_s * cv2.
      return now_s_ + rng_.gamma(1.0 / arrivals.cv2) * arrivals.period_s * arrivals.cv2;
    case ArrivalProcess::mmpp:
      return mmpp(arrivals);
    case ArrivalProcess::ramp:
    case ArrivalProcess::diurnal:
      return modulated(phase);
    case ArrivalProcess::recorded:
      return recorded(phase);
  }
  return kNone;
}

double ArrivalStream::next() {
  for (; phase_ < app_->phases.size(); enter(phase_ + 1)) {
    const AppPhase& phase = app_->phases[phase_];
    factor_ = 0;
    now_s_ = propose();
    ++count_;
    // A multiple of a period that rounds to just below the end is the end.
    const double slack =
        phase.arrivals.process == ArrivalProcess::recorded ? 0 : 1e-9 * phase.arrivals.period_s;
    if (now_s_ < phase.start_s + phase.duration_s - slack) return now_s_;
  }
  return kNone;
}

}  // namespace dsn

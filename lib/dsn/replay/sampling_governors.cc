// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/sampling_governors.h"

#include <algorithm>
#include <cmath>

namespace dsn {
namespace {

constexpr double kRounding = 1e-9;  // of sums of times

double freq_at(const Cluster& cluster, int opp) noexcept {
  return cluster.opps[static_cast<std::size_t>(opp)].freq_hz;
}

// CPUFREQ_RELATION_H: the highest OPP at or below the frequency.
int opp_at_most(const Cluster& cluster, double freq_hz, int max_opp) noexcept {
  int opp = max_opp;
  while (opp > 0 && freq_at(cluster, opp) > freq_hz * (1 + kRounding)) --opp;
  return opp;
}

// CPUFREQ_RELATION_C: the closest; of two equally close ones the lower.
int closest_opp(const Cluster& cluster, double freq_hz, int max_opp) noexcept {
  const int above = opp_at_least(cluster, freq_hz, max_opp);
  if (above == 0) return 0;
  const double up = freq_at(cluster, above) - freq_hz, down = freq_hz - freq_at(cluster, above - 1);
  return up < down ? above : above - 1;
}

}  // namespace

LoadSampler::LoadSampler(const Cluster& cluster) noexcept
    : period_s_(std::max(2 * Schedutil::kTick, 1.5 * cluster.transition_latency_s)) {}

void LoadSampler::start(double now_s) noexcept {
  now_s_ = sampled_s_ = now_s;
  busy_s_ = 0;
  previous_load_ = idle_periods_ = 0;
}

void LoadSampler::advance(double now_s, bool busy) noexcept {
  if (busy) busy_s_ += now_s - now_s_;
  now_s_ = now_s;
}

bool LoadSampler::sample(double now_s) noexcept {
  const double elapsed = now_s - sampled_s_;
  if (elapsed < period_s_ * (1 - kRounding)) return false;
  const double idle = std::max(0.0, elapsed - busy_s_);
  const bool long_idle = idle > 2 * period_s_ * (1 + kRounding);
  idle_periods_ = long_idle ? static_cast<int>(std::min(idle / period_s_ + kRounding, 1e9)) : 0;
  // After a long idle the load before it is used, once: else every burst would begin at the lowest OPP.
  if (long_idle && previous_load_ > 0) {
    load_ = previous_load_;
    previous_load_ = 0;
  } else {
    load_ = static_cast<int>(100 * (elapsed - idle) / elapsed + kRounding);
    previous_load_ = load_;
  }
  sampled_s_ = now_s;
  busy_s_ = 0;
  return true;
}

double LoadSampler::next_tick(double now_s, bool busy) const noexcept {
  if (!busy) return Governor::kNever;
  // The first tick of the scheduler at which a sample is due.
  const double due = std::max(sampled_s_ + period_s_, now_s);
  const double next = std::ceil(due / Schedutil::kTick - 1e-6) * Schedutil::kTick;
  return next > now_s ? next : next + Schedutil::kTick;
}

void Ondemand::start(double now_s, int opp) noexcept {
  sampler_.start(now_s);
  opp_ = opp;
}

void Ondemand::advance(double now_s, int /*opp*/, std::span<const TaskShare> running) noexcept {
  sampler_.advance(now_s, !running.empty());
}

int Ondemand::evaluate(double now_s, GovernorEvent event, int max_opp,
                       std::span<const TaskShare> /*running*/) noexcept {
  if (event != GovernorEvent::limits && sampler_.sample(now_s)) {
    // The interpolation knows the hardware's limits, not the policy's, which only clamp what comes out.
    const double lowest = freq_at(*cluster_, 0), highest = cluster_->opps.back().freq_hz;
    opp_ = sampler_.load() > kUpThreshold
               ? max_opp
               : closest_opp(*cluster_, lowest + sampler_.load() * (highest - lowest) / 100, max_opp);
  }
  return std::min(opp_, max_opp);
}

void Conservative::start(double now_s, int opp) noexcept {
  sampler_.start(now_s);
  opp_ = opp;
  requested_hz_ = freq_at(*cluster_, opp);
}

void Conservative::advance(double now_s, int /*opp*/, std::span<const TaskShare> running) noexcept {
  sampler_.advance(now_s, !running.empty());
}

int Conservative::evaluate(double now_s, GovernorEvent event, int max_opp,
                           std::span<const TaskShare> /*running*/) noexcept {
  opp_ = std::min(opp_, max_opp);
  if (event == GovernorEvent::limits || !sampler_.sample(now_s)) return opp_;
  const double lowest = freq_at(*cluster_, 0), highest = freq_at(*cluster_, max_opp);
  const double step = kStep * highest;
  if (requested_hz_ > highest || requested_hz_ < lowest) requested_hz_ = freq_at(*cluster_, opp_);
  // The steps down that samples during the idle time would have taken.
  requested_hz_ = std::max(lowest, requested_hz_ - step * sampler_.idle_periods());
  if (sampler_.load() > kUpThreshold) {
    if (requested_hz_ < highest) {
      requested_hz_ = std::min(highest, requested_hz_ + step);
      opp_ = opp_at_most(*cluster_, requested_hz_, max_opp);
    }
  } else if (sampler_.load() < kDownThreshold && requested_hz_ > lowest) {
    requested_hz_ = std::max(lowest, requested_hz_ - step);
    opp_ = opp_at_least(*cluster_, requested_hz_, max_opp);
  }
  return opp_;
}

void SimpleOndemand::start(double now_s, int opp) noexcept {
  now_s_ = polled_s_ = now_s;
  busy_s_ = 0;
  opp_ = opp;
}

void SimpleOndemand::advance(double now_s, int /*opp*/, std::span<const TaskShare> running) noexcept {
  if (!running.empty()) busy_s_ += now_s - now_s_;
  now_s_ = now_s;
}

int SimpleOndemand::evaluate(double now_s, GovernorEvent event, int max_opp,
                             std::span<const TaskShare> /*running*/) noexcept {
  opp_ = std::min(opp_, max_opp);
  const double total = now_s - polled_s_;
  if (event != GovernorEvent::tick || total < kPolling * (1 - kRounding)) return opp_;
  const double busy = std::min(1.0, busy_s_ / total);
  polled_s_ = now_s;
  busy_s_ = 0;
  const double freq = freq_at(*cluster_, opp_);
  if (100 * busy > kUpThreshold || freq == 0) {
    opp_ = max_opp;
  } else if (100 * busy <= kUpThreshold - kDownDifferential) {
    // The kernel halves the differential in whole numbers: 90 - 5 / 2 = 88.
    const double aim = kUpThreshold - std::floor(kDownDifferential / 2);
    opp_ = opp_at_least(*cluster_, busy * freq * 100 / aim, max_opp);
  }
  return opp_;
}

double SimpleOndemand::next_tick(double now_s, bool busy) const noexcept {
  // Polled while idle, too, until there is nothing left to lower and nothing to report.
  if (!busy && opp_ == 0 && busy_s_ == 0) return kNever;
  const double next = polled_s_ + kPolling;
  return next > now_s ? next : now_s + kPolling;
}

}  // namespace dsn

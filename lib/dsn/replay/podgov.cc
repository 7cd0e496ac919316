// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "dsn/replay/governor.h"

namespace dsn {

Podgov::Podgov(const Cluster& cluster) : cluster_(&cluster) {}

void Podgov::start(double now_s, int opp) noexcept {
  now_s_ = sampled_s_ = scaled_s_ = now_s;
  busy_s_ = 0;
  opp_ = opp;
}

void Podgov::advance(double now_s, int /*opp*/, std::span<const TaskShare> running) noexcept {
  if (!running.empty()) busy_s_ += now_s - now_s_;
  now_s_ = now_s;
}

int Podgov::evaluate(double now_s, GovernorEvent event, int max_opp,
                     std::span<const TaskShare> /*running*/) noexcept {
  if (event == GovernorEvent::limits) return opp_ = std::min(opp_, max_opp);
  const double total = now_s - sampled_s_;
  if (total <= 0) return std::min(opp_, max_opp);
  const double idle = std::clamp(1.0 - busy_s_ / total, 0.0, 1.0);
  sampled_s_ = now_s;
  busy_s_ = 0;
  idle_average_ = (kSmooth * idle_average_ + idle) / (kSmooth + 1);
  if (now_s - scaled_s_ < kBlockWindow * (1 - 1e-9)) return std::min(opp_, max_opp);

  const double freq = cluster_->opps[static_cast<std::size_t>(opp_)].freq_hz;
  const double limit = cluster_->opps[static_cast<std::size_t>(max_opp)].freq_hz;
  const double most = limit / 3;
  double boost = most, damp = 1;
  if (1.0 - idle <= kLoadMax) {
    boost = std::min(most, kBias * freq * (average_load() - kLoadTarget) / kLoadTarget);
    damp = kDamp;
  }
  const double request = freq + boost;
  freq_average_hz_ = (kSmooth * freq_average_hz_ + request) / (kSmooth + 1);
  const double damped = damp * request + (1 - damp) * freq_average_hz_;
  const int opp = opp_at_least(*cluster_, damped, max_opp);
  if (opp != opp_) {
    opp_ = opp;
    scaled_s_ = now_s;
  }
  return opp_;
}

double Podgov::next_tick(double now_s, bool busy) const noexcept {
  // Idle at the lowest clock there is nothing left to lower, and the driver's timer stops.
  return busy || opp_ > 0 ? now_s + kTick : kNever;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "dsn/replay/governor.h"

namespace dsn {

double Pelt::kept(double dt_s, double clock) noexcept {
  return std::exp2(-dt_s * clock / kHalfLife);
}

Schedutil::Schedutil(const Cluster& cluster, std::size_t tasks)
    : cluster_(&cluster),
      cores_(core_count(cluster)),
      // cpufreq_policy_transition_delay_us(): one and a half transitions, or 1 ms where the latency is
      // unknown.
      rate_limit_s_(cluster.transition_latency_s > 0 ? 1.5 * cluster.transition_latency_s : 1e-3),
      max_freq_hz_(cluster.opps.back().freq_hz),
      tasks_(tasks) {}

void Schedutil::start(double now_s, int opp) noexcept {
  now_s_ = now_s;
  changed_s_ = -kNever;
  next_opp_ = opp;
  idled_ = true;
}

void Schedutil::advance(double now_s, int opp, std::span<const TaskShare> running) noexcept {
  const double dt = now_s - now_s_;
  now_s_ = now_s;
  if (dt <= 0) return;
  int threads = 0;
  for (const TaskShare& task : running) threads += task.threads;
  const double share = threads > cores_ ? static_cast<double>(cores_) / threads : 1.0;
  const double freq = cluster_->opps[static_cast<std::size_t>(opp)].freq_hz;
  const double clock = max_freq_hz_ > 0 ? freq / max_freq_hz_ : 1.0;
  const double kept_running = Pelt::kept(dt, clock);
  // Time lost to a slow clock is caught up while idle, so a sleeping task decays in wall time.
  const double kept_asleep = Pelt::kept(dt, 1.0);
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    Entity& entity = tasks_[i];
    if (!entity.seen) continue;
    const bool runs = std::any_of(running.begin(), running.end(),
                                  [&](const TaskShare& task) { return task.task == static_cast<int>(i); });
    entity.pelt.advance(runs ? share : 0.0, runs ? kept_running : kept_asleep);
  }
}

void Schedutil::wake(const TaskShare& task) noexcept {
  Entity& entity = tasks_[static_cast<std::size_t>(task.task)];
  entity.threads = task.threads;
  entity.seen = true;
}

void Schedutil::sleep(const TaskShare& task) noexcept {
  Entity& entity = tasks_[static_cast<std::size_t>(task.task)];
  const double fallen = entity.estimate - entity.pelt.util;
  if (fallen <= 0) {
    entity.estimate = entity.pelt.util;
  } else if (fallen >= kEstimateMargin) {
    entity.estimate -= fallen * kEstimateWeight;
  }
}

double Schedutil::utilisation(std::span<const TaskShare> running) const noexcept {
  double largest = 0, sum = 0;
  for (const Entity& entity : tasks_) {  // asleep ones too: their average stays with the CPU until it decays
    largest = std::max(largest, entity.pelt.util);
    sum += entity.pelt.util * entity.threads;
  }
  double largest_estimate = 0, sum_estimate = 0;
  for (const TaskShare& task : running) {
    const Entity& entity = tasks_[static_cast<std::size_t>(task.task)];
    const double estimate = std::max(entity.pelt.util, entity.estimate);
    largest_estimate = std::max(largest_estimate, estimate);
    sum_estimate += estimate * task.threads;
  }
  return std::min(1.0, std::max({largest, sum / cores_, largest_estimate, sum_estimate / cores_}));
}

int Schedutil::evaluate(double now_s, GovernorEvent event, int max_opp,
                        std::span<const TaskShare> running) noexcept {
  if (event == GovernorEvent::sleep && running.empty()) idled_ = true;
  if (event != GovernorEvent::limits && now_s - changed_s_ < rate_limit_s_ * (1 - 1e-9))
    return std::min(next_opp_, max_opp);
  int request = opp_at_least(*cluster_, kHeadroom * utilisation(running) * max_freq_hz_, max_opp);
  // A domain of one CPU is not slowed down before that CPU has been idle (sugov_hold_freq).
  if (cores_ == 1 && !idled_ && event != GovernorEvent::limits)
    request = std::max(request, std::min(next_opp_, max_opp));
  if (!running.empty()) idled_ = false;
  if (request != next_opp_) {
    next_opp_ = request;
    changed_s_ = now_s;
  }
  return next_opp_;
}

double Schedutil::next_tick(double now_s, bool busy) const noexcept {
  if (!busy) return kNever;  // NO_HZ: no tick on an idle CPU
  const double next = (std::floor(now_s / kTick + 1e-6) + 1) * kTick;
  return next > now_s ? next : next + kTick;
}

}  // namespace dsn

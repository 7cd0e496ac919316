// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/sim_cluster.h"

#include <algorithm>

namespace dsn {

SimCluster::SimCluster(const Cluster& cluster, bool power_known, std::unique_ptr<Governor> governor)
    : cluster_(&cluster),
      power_known_(power_known),
      governor_(std::move(governor)),
      cores_(core_count(cluster)),
      online_(cores_) {
  max_opp_ = static_cast<int>(cluster.opps.size()) - 1;
  opp_ = wanted_ = governor_->initial_opp(max_opp_);
  stats_.opp_s.assign(cluster.opps.size(), 0.0);
  governor_->start(0, opp_);
}

double SimCluster::idle_power(int opp) const noexcept {
  return power_known_ ? cluster_->opps[static_cast<std::size_t>(opp)].idle_power_w.value_or(0) : 0.0;
}

double SimCluster::busy_power(int opp) const noexcept {
  return power_known_ ? cluster_->opps[static_cast<std::size_t>(opp)].busy_power_w.value_or(0) : 0.0;
}

double SimCluster::share() const noexcept {
  return threads_ > online_ ? static_cast<double>(online_) / threads_ : 1.0;
}

double SimCluster::poll_others_load(double now_s) noexcept {
  if (cluster_->kind == ClusterKind::gpu) return -1;
  const double elapsed = now_s - polled_s_;
  if (elapsed < kLoadWindow) return others_load_;
  const double core_s = other_core_s_ + other_threads_ * share() * (now_s - now_s_);
  others_load_ = (core_s - polled_core_s_) / elapsed;
  polled_s_ = now_s;
  polled_core_s_ = core_s;
  return others_load_;
}

void SimCluster::set_rate(SimJob& job) const noexcept {
  if (job.costs != nullptr) {
    const double latency = job.costs->latency(job.level, job.placement, opp_);
    job.rate = 1.0 / ((latency + (memory_ - 1) * job.memory_s) * job.noise);
    job.active_w = job.costs->energy(job.level, job.placement, opp_) / latency;
    return;
  }
  const double highest = cluster_->opps.back().freq_hz;
  job.rate = highest > 0 ? cluster_->opps[static_cast<std::size_t>(opp_)].freq_hz / highest : 1.0;
  job.active_w = (busy_power(opp_) - idle_power(opp_)) * job.threads / cores_;
}

// B of T(f) = A/f + B through the slowest and the fastest OPP; 0 where there is one.
double SimCluster::memory_time(const SimJob& job) const noexcept {
  const double slow = cluster_->opps.front().freq_hz, fast = cluster_->opps.back().freq_hz;
  if (slow >= fast) return 0;
  const double slowest = job.costs->latency(job.level, job.placement, 0);
  const double fastest = job.costs->latency(job.level, job.placement, highest_opp());
  return std::clamp((fastest * fast - slowest * slow) / (fast - slow), 0.0, fastest);
}

double SimCluster::power() const noexcept {
  double watts = idle_power(opp_);
  for (const SimJob& job : jobs_) watts += job.active_w * share();
  return watts;
}

void SimCluster::advance(double now_s) {
  const double dt = now_s - now_s_;
  if (dt <= 0) return;
  const double part = share();
  const double busy = std::min(threads_, online_);
  stats_.opp_s[static_cast<std::size_t>(opp_)] += dt;
  stats_.busy_core_s += busy * dt;
  if (pinned_ < 0) stats_.governed_s += dt;
  stats_.idle_j += idle_power(opp_) * dt;
  other_core_s_ += other_threads_ * part * dt;
  for (SimJob& job : jobs_) {
    job.remaining = std::max(0.0, job.remaining - job.rate * part * dt);
    const double joules = job.active_w * part * dt;
    job.energy_j += joules;
    stats_.active_j += joules;
  }
  governor_->advance(now_s, opp_, running_);
  now_s_ = now_s;
}

void SimCluster::replan(double now_s) {
  done_at_s_ = kNever;
  const double part = share();
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    const double at = now_s + jobs_[i].remaining / (jobs_[i].rate * part);
    if (at < done_at_s_) {
      done_at_s_ = at;
      done_job_ = i;
    }
  }
}

void SimCluster::add(double now_s, const SimJob& job) {
  advance(now_s);
  jobs_.push_back(job);
  SimJob& added = jobs_.back();
  // A team of inference threads is never larger than its cluster; contenders may be many.
  if (added.costs != nullptr) {
    added.threads = std::min(added.threads, cores_);
    added.memory_s = memory_time(added);
  }
  set_rate(added);
  threads_ += added.threads;
  if (added.costs == nullptr) other_threads_ += added.threads;
  running_.push_back({added.task, added.threads});
  governor_->wake(running_.back());
  ask_governor(now_s, GovernorEvent::wake);
  replan(now_s);
}

SimJob SimCluster::take(double now_s, std::size_t index) {
  const SimJob job = jobs_[index];
  const TaskShare task = running_[index];
  jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(index));
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
  threads_ -= job.threads;
  if (job.costs == nullptr) other_threads_ -= job.threads;
  governor_->sleep(task);
  ask_governor(now_s, GovernorEvent::sleep);
  replan(now_s);
  return job;
}

SimJob SimCluster::complete(double now_s) {
  const std::size_t index = done_job_;
  advance(now_s);
  return take(now_s, index);
}

SimJob SimCluster::remove(double now_s, int task) {
  advance(now_s);
  const auto job = std::find_if(jobs_.begin(), jobs_.end(), [&](const SimJob& j) { return j.task == task; });
  return take(now_s, static_cast<std::size_t>(job - jobs_.begin()));
}

void SimCluster::add_work(double now_s, int task, double seconds) {
  advance(now_s);
  for (SimJob& job : jobs_) {
    if (job.task == task) job.remaining += seconds;
  }
  replan(now_s);
}

bool SimCluster::runs(int task) const noexcept {
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const SimJob& job) { return job.task == task; });
}

void SimCluster::clock_changed(double now_s, int opp) {
  opp_ = opp;
  ++stats_.opp_switches;
  for (SimJob& job : jobs_) set_rate(job);
  replan(now_s);
}

void SimCluster::request(double now_s, int opp) {
  wanted_ = std::min(opp, max_opp_);
  if (in_flight_ >= 0 || wanted_ == opp_)
    return;  // one transition at a time; finish_switch() starts the next
  if (cluster_->transition_latency_s > 0) {
    in_flight_ = wanted_;
    switch_at_s_ = now_s + cluster_->transition_latency_s;
  } else {
    clock_changed(now_s, wanted_);
  }
}

void SimCluster::finish_switch(double now_s) {
  advance(now_s);
  const int opp = in_flight_;
  in_flight_ = -1;
  switch_at_s_ = kNever;
  clock_changed(now_s, opp);
  request(now_s, wanted_);
}

void SimCluster::ask_governor(double now_s, GovernorEvent event) {
  if (pinned_ >= 0) return;
  request(now_s, governor_->evaluate(now_s, event, max_opp_, running_));
  tick_at_s_ = governor_->next_tick(now_s, !jobs_.empty());
}

void SimCluster::tick(double now_s) {
  advance(now_s);
  ask_governor(now_s, GovernorEvent::tick);
}

void SimCluster::pin(double now_s, int opp) {
  if (pinned_ == opp) return;
  advance(now_s);
  pinned_ = opp;
  tick_at_s_ = kNever;
  request(now_s, opp);
}

void SimCluster::release(double now_s) {
  if (pinned_ < 0) return;
  advance(now_s);
  pinned_ = -1;
  governor_->start(now_s, wanted_);
  ask_governor(now_s, GovernorEvent::limits);
}

void SimCluster::set_max_opp(double now_s, int max_opp) {
  advance(now_s);
  max_opp_ = max_opp;
  if (pinned_ >= 0) {
    request(now_s, pinned_);
  } else {
    ask_governor(now_s, GovernorEvent::limits);
  }
}

void SimCluster::set_online(double now_s, int cores) {
  advance(now_s);
  online_ = std::clamp(cores, 1, cores_);
  replan(now_s);
}

void SimCluster::set_memory(double now_s, double factor) {
  if (factor == memory_) return;
  advance(now_s);
  memory_ = factor;
  for (SimJob& job : jobs_) set_rate(job);
  replan(now_s);
}

}  // namespace dsn

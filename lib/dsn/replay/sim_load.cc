// SPDX-License-Identifier: Apache-2.0
// What happens to the simulated platform from outside: contenders, events of the trace, heat; and samples of
// it.
#include <algorithm>

#include "dsn/replay/bind.h"
#include "dsn/replay/simulation.h"

namespace dsn {
namespace {

constexpr double kMostMemory = 0.95;  // contenders together never take all of the bandwidth

}  // namespace

void Simulation::trace_event() {
  const TraceEvent& event = workload_.trace.events[event_];
  if (const auto* set = std::get_if<SetEvent>(&event.what)) {
    AppView& app = app_views_[set->app];
    if (set->target_s) app.target_s = *set->target_s;
    if (set->probability) app.probability = *set->probability;
    if (set->min_accuracy) app.min_accuracy = *set->min_accuracy;
  } else if (const auto* cap = std::get_if<CapEvent>(&event.what)) {
    set_cap(bind_cluster(workload_.trace, cap->cluster, workload_.platform), cap->max_freq_hz);
  } else if (const auto* air = std::get_if<AmbientEvent>(&event.what)) {
    heat_.set_ambient(air->ambient_c);
  } else if (std::holds_alternative<ModeEvent>(event.what)) {
    const PowerMode& mode = bind_mode(workload_.trace, event, workload_.platform);
    for (std::size_t k = 0; k < clusters_.size(); ++k) {
      std::optional<double> most;
      for (const auto& [name, freq_hz] : mode.max_freq_hz) {
        if (name == clusters_[k].cluster().name) most = freq_hz;
      }
      set_cap(k, most);
    }
  }
  for (const auto& [k, online] : online_after(event, workload_)) {
    clusters_[k].set_online(now_s_, online);
    publish(k);
  }
  ++event_;
  timers_[first_event_] =
      event_ < workload_.trace.events.size() ? workload_.trace.events[event_].at_s : kNever;
}

void Simulation::set_cap(std::size_t k, const std::optional<double>& max_freq_hz) {
  cap_opp_[k] = capped_opp(clusters_[k].cluster(), max_freq_hz);
  limit(k);
}

void Simulation::limit(std::size_t k) {
  const int cooled = std::max(0, clusters_[k].highest_opp() - heat_.steps());
  const int most = std::min(cap_opp_[k], cooled);
  if (most == clusters_[k].max_opp()) return;
  clusters_[k].set_max_opp(now_s_, most);
  publish(k);
}

void Simulation::poll_heat() {
  if (heat_.poll()) {
    for (std::size_t k = 0; k < clusters_.size(); ++k) limit(k);
  }
  timers_[heat_timer_] = now_s_ + Heat::kPoll;
}

double Simulation::power() const noexcept {
  double watts = workload_.platform.base_power_w;
  for (const SimCluster& cluster : clusters_) watts += cluster.power();
  return watts;
}

void Simulation::sample() {
  double joules = workload_.platform.base_power_w * now_s_;
  std::vector<int> opps;
  for (SimCluster& cluster : clusters_) {
    cluster.advance(now_s_);
    joules += cluster.stats().idle_j + cluster.stats().active_j;
    opps.push_back(cluster.opp());
  }
  options_.on_sample({now_s_, (joules - sampled_j_) / (now_s_ - sampled_s_),
                      heat_.modelled() ? std::optional(heat_.temp_c()) : std::nullopt, opps});
  sampled_s_ = now_s_;
  sampled_j_ = joules;
  timers_[sample_timer_] = now_s_ + options_.sample_s;
}

void Simulation::update_memory() {
  if (!memory_contended_) return;
  double taken = 0;
  for (std::size_t i = 0; i < contenders_.size(); ++i) {
    const SimContender& state = contenders_[i];
    if (state.active && clusters_[contender_cluster_[i]].runs(static_cast<int>(apps_.size() + i)))
      taken += state.contender->phases[state.phase].memory_share;
  }
  for (std::size_t k = 0; k < clusters_.size(); ++k) {
    clusters_[k].set_memory(now_s_, 1 / (1 - std::min(taken, kMostMemory)));
    publish(k);
  }
}

void Simulation::start_contender(std::size_t i, const ContenderPhase& phase) {
  const int task = static_cast<int>(apps_.size() + i);
  SimCluster& cluster = clusters_[contender_cluster_[i]];
  if (cluster.runs(task)) {
    cluster.add_work(now_s_, task, phase.run_s);
    return;
  }
  SimJob job;
  job.task = task;
  job.threads = phase.threads;
  job.remaining = phase.run_s > 0 ? phase.run_s : kNever;
  cluster.add(now_s_, job);
}

void Simulation::stop_contender(std::size_t i, std::size_t k) {
  const int task = static_cast<int>(apps_.size() + i);
  if (clusters_[k].runs(task)) contenders_j_ += clusters_[k].remove(now_s_, task).energy_j;
}

void Simulation::contender_event(std::size_t i) {
  SimContender& state = contenders_[i];
  const std::vector<ContenderPhase>& phases = state.contender->phases;
  const ContenderPhase& phase = phases[state.phase];
  const std::size_t k = contender_cluster_[i];
  const double end = phase.start_s + phase.duration_s;
  double& timer = timers_[first_contender_ + i];
  const auto next_release = [&] {
    const double release = phase.start_s + static_cast<double>(state.releases) * phase.period_s;
    return release < end - 1e-9 * phase.period_s ? release : end;
  };
  if (state.active && now_s_ >= end) {
    stop_contender(i, k);
    state = {state.contender, state.phase + 1, false, 0, 0};
    const bool more = state.phase < phases.size();
    timer = more ? phases[state.phase].start_s : kNever;
    if (more)
      contender_cluster_[i] = bind_cluster(workload_.trace, phases[state.phase].cluster, workload_.platform);
  } else if (state.wall_ends_s > 0 && now_s_ >= state.wall_ends_s) {
    stop_contender(i, k);
    state.wall_ends_s = 0;
    timer = next_release();
  } else {
    start_contender(i, phase);
    state.active = true;
    ++state.releases;
    timer = phase.period_s == 0 ? end : next_release();
    if (phase.runtime_s > 0) timer = state.wall_ends_s = std::min(now_s_ + phase.runtime_s, end);
  }
  publish(k);
  update_memory();
}

}  // namespace dsn

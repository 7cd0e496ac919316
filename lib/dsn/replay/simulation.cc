// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/simulation.h"

#include <fmt/format.h>

#include <algorithm>

#include "dsn/core/error.h"
#include "dsn/replay/bind.h"

namespace dsn {
namespace {

constexpr double kTargetSlack = 1e-9;  // seconds: rounding of sums of times, far below any clock

}  // namespace

Simulation::Simulation(const Workload& workload, Policy& policy, const SimOptions& options)
    : workload_(workload),
      policy_(policy),
      options_(options),
      duration_s_(workload.trace.duration_s),
      heat_(workload.platform.thermal, workload.platform.base_power_w) {
  const Trace& trace = workload.trace;
  const std::size_t tasks = trace.apps.size() + trace.contenders.size();
  for (const Cluster& cluster : workload.platform.clusters) {
    const std::string& governor =
        cluster.kind == ClusterKind::gpu ? options.governors.gpu : options.governors.cpu;
    clusters_.emplace_back(cluster, workload.platform.power_known, make_governor(governor, cluster, tasks));
  }
  cluster_views_.resize(clusters_.size());
  for (const SimCluster& cluster : clusters_) cap_opp_.push_back(cluster.highest_opp());
  heat_ = Heat(workload.platform.thermal, power());
  for (std::size_t a = 0; a < trace.apps.size(); ++a) {
    const TraceApp& app = trace.apps[a];
    const CostTable& costs = workload.costs[a];
    SimApp& state = apps_.emplace_back(app, options.seed);
    state.stats.level_count.assign(static_cast<std::size_t>(costs.levels()), 0);
    state.stats.placement_count.assign(costs.placements().size(), 0);
    AppView& view = app_views_.emplace_back();
    view.costs = &costs;
    view.target_s = app.target_s;
    view.probability = app.probability;
    view.min_accuracy = app.min_accuracy;
    view.level = costs.levels() - 1;  // what a user deploys before any policy
  }
  for (const TraceContender& contender : trace.contenders) {
    contenders_.push_back({&contender, 0, false, 0, 0});
    contender_cluster_.push_back(bind_cluster(trace, contender.phases.front().cluster, workload.platform));
    for (const ContenderPhase& phase : contender.phases)
      memory_contended_ = memory_contended_ || phase.memory_share > 0;
  }

  first_switch_ = clusters_.size();
  first_event_ = 2 * clusters_.size();
  heat_timer_ = first_event_ + 1;
  sample_timer_ = heat_timer_ + 1;
  first_contender_ = sample_timer_ + 1;
  first_app_ = first_contender_ + contenders_.size();
  first_tick_ = first_app_ + apps_.size();
  timers_.assign(first_tick_ + clusters_.size(), kNever);
}

SimResult Simulation::run(const Job& job) {
  if (!workload_.trace.events.empty()) timers_[first_event_] = workload_.trace.events.front().at_s;
  if (heat_.throttles()) timers_[heat_timer_] = Heat::kPoll;
  if (options_.on_sample) timers_[sample_timer_] = options_.sample_s;
  for (std::size_t i = 0; i < contenders_.size(); ++i) {
    timers_[first_contender_ + i] = contenders_[i].contender->phases.front().start_s;
  }
  for (std::size_t a = 0; a < apps_.size(); ++a) timers_[first_app_ + a] = apps_[a].arrivals.next();

  std::int64_t events = 0;
  for (;; ++events) {
    if ((events & 0xfff) == 0) job.check_stop();
    // At equal times the lower index goes first: what ends, OPP switches, trace events, contenders,
    // arrivals, ticks.
    const std::size_t next =
        static_cast<std::size_t>(std::min_element(timers_.begin(), timers_.end()) - timers_.begin());
    const double at = timers_[next];
    if (at > duration_s_ || (at == duration_s_ && next >= first_switch_)) break;
    if (heat_.modelled() && at > now_s_) heat_.advance(at - now_s_, power());
    now_s_ = at;
    dispatch(next);
  }
  return finish(events);
}

void Simulation::dispatch(std::size_t timer) {
  if (timer < first_switch_) {
    complete(timer);
  } else if (timer < first_event_) {
    clusters_[timer - first_switch_].finish_switch(now_s_);
    publish(timer - first_switch_);
  } else if (timer < first_contender_) {
    timer == first_event_ ? trace_event() : timer == heat_timer_ ? poll_heat() : sample();
  } else if (timer < first_app_) {
    contender_event(timer - first_contender_);
  } else if (timer < first_tick_) {
    arrive(timer - first_app_);
  } else {
    clusters_[timer - first_tick_].tick(now_s_);
    publish(timer - first_tick_);
  }
}

void Simulation::publish(std::size_t cluster) {
  const SimCluster& c = clusters_[cluster];
  timers_[cluster] = c.done_at();
  timers_[first_switch_ + cluster] = c.switch_at();
  timers_[first_tick_ + cluster] = c.tick_at();
}

SystemView Simulation::view() {
  for (std::size_t a = 0; a < apps_.size(); ++a) {
    const std::vector<AppPhase>& phases = apps_[a].app->phases;
    std::size_t& phase = apps_[a].phase;
    while (phase < phases.size() && phases[phase].start_s + phases[phase].duration_s <= now_s_) ++phase;
    const bool active = phase < phases.size() && phases[phase].start_s <= now_s_;
    app_views_[a].active = active || apps_[a].running || !apps_[a].queue.empty();
    app_views_[a].period_s =
        active ? phases[phase].arrivals.period_at(now_s_ - phases[phase].start_s, phases[phase].duration_s)
               : 0;
  }
  for (std::size_t k = 0; k < clusters_.size(); ++k) {
    SimCluster& c = clusters_[k];
    const int opp = c.requested_opp();
    ClusterView& seen = cluster_views_[k];
    seen.opp = opp;
    seen.max_opp = c.settable() ? c.max_opp() : opp;
    seen.min_opp = c.settable() ? 0 : opp;
    seen.idle_power_w = c.idle_power(opp);
    seen.busy_power_w = c.busy_power(opp);
    seen.cluster = &c.cluster();
    seen.others_load = c.poll_others_load(now_s_);
  }
  return {now_s_, app_views_, cluster_views_};
}

void Simulation::arrive(std::size_t a) {
  SimApp& app = apps_[a];
  const Waiting waiting{app.stats.arrivals++,
                        now_s_,
                        {workload_.trace.noise ? app.noise.normal() : 0.0, app.arrivals.factor()}};
  timers_[first_app_ + a] = app.arrivals.next();
  if (app.running && app.app->on_overrun == OnOverrun::abort) abort_running(a);
  if (!app.running) {
    start(a, waiting);
  } else if (app.app->on_overrun == OnOverrun::skip) {
    drop(a, now_s_);
  } else {
    app.queue.push_back(waiting);
  }
}

void Simulation::drop(std::size_t a, double scheduled_s) {
  SimApp& app = apps_[a];
  ++app.stats.skipped;
  ++app.stats.missed;
  Completion dropped = app.completion;
  dropped.scheduled_s = scheduled_s;
  dropped.target_s = app_views_[a].target_s;
  dropped.dropped = true;
  policy_.observe(view(), dropped);
}

void Simulation::abort_running(std::size_t a) {
  SimApp& app = apps_[a];
  const auto placement = static_cast<std::size_t>(app_views_[a].placement);
  const auto cluster = static_cast<std::size_t>(app_views_[a].costs->placements()[placement].cluster);
  app.stats.energy_j += clusters_[cluster].remove(now_s_, static_cast<int>(a)).energy_j;
  publish(cluster);
  app.running = false;
  drop(a, app.completion.scheduled_s);
}

void Simulation::start(std::size_t a, const Waiting& waiting) {
  SimApp& app = apps_[a];
  AppView& mine = app_views_[a];
  app.running = true;
  app.current = waiting;
  const SystemView seen = view();
  mine.waited_s = now_s_ - waiting.scheduled_s;
  const Decision decision = policy_.decide(seen, a);
  mine.waited_s = 0;
  check(decision, a);
  if (!decision.feasible) ++app.stats.infeasible;
  app.min_accuracy = mine.min_accuracy;

  const AppChoice choice = decision.apps[a];
  if (app.stats.arrivals > 1) {
    app.stats.level_switches += choice.level != mine.level ? 1 : 0;
    app.stats.placement_switches += choice.placement != mine.placement ? 1 : 0;
  }
  mine.level = choice.level;
  mine.placement = choice.placement;
  const Placement placement = mine.costs->placements()[static_cast<std::size_t>(choice.placement)];
  const std::size_t cluster = static_cast<std::size_t>(placement.cluster);
  apply(decision);
  const int opp = clusters_[cluster].requested_opp();
  app.completion = {static_cast<int>(a), choice.level, choice.placement, opp, waiting.scheduled_s, now_s_, 0,
                    mine.target_s,       false};

  SimJob job;
  job.task = static_cast<int>(a);
  job.threads = placement.threads;
  job.remaining = 1;
  job.costs = mine.costs;
  job.level = choice.level;
  job.placement = choice.placement;
  job.noise = waiting.draw.on(mine.costs->spread(choice.level, choice.placement, opp));
  clusters_[cluster].add(now_s_, job);
  for (std::size_t k = 0; k < clusters_.size(); ++k) publish(k);
}

void Simulation::apply(const Decision& decision) {
  for (std::size_t k = 0; k < clusters_.size(); ++k) {
    if (decision.opp[k] == kLeaveToGovernor || !clusters_[k].settable()) {
      clusters_[k].release(now_s_);
    } else {
      clusters_[k].pin(now_s_, decision.opp[k]);
    }
  }
}

void Simulation::check(const Decision& decision, std::size_t a) const {
  const AppChoice choice = decision.apps[a];
  const CostTable& costs = *app_views_[a].costs;
  const std::string& name = apps_[a].app->name;
  if (choice.level < 0 || choice.level >= costs.levels()) {
    throw Error(ErrorCode::failed, fmt::format("policy {}: chose level {} for {}, which has levels 0 to {}",
                                               policy_.name(), choice.level, name, costs.levels() - 1));
  }
  if (choice.placement < 0 || choice.placement >= static_cast<int>(costs.placements().size())) {
    throw Error(ErrorCode::failed,
                fmt::format("policy {}: chose placement {} for {}, which has {}", policy_.name(),
                            choice.placement, name, costs.placements().size()));
  }
  for (std::size_t k = 0; k < clusters_.size(); ++k) {
    if (decision.opp[k] < kLeaveToGovernor ||
        decision.opp[k] >= static_cast<int>(clusters_[k].cluster().opps.size())) {
      throw Error(ErrorCode::failed, fmt::format("policy {}: chose OPP {} for cluster {}, which has {}",
                                                 policy_.name(), decision.opp[k], clusters_[k].cluster().name,
                                                 clusters_[k].cluster().opps.size()));
    }
  }
}

void Simulation::complete(std::size_t cluster) {
  const SimJob job = clusters_[cluster].complete(now_s_);
  publish(cluster);
  const std::size_t task = static_cast<std::size_t>(job.task);
  if (task >= apps_.size()) {
    contenders_j_ += job.energy_j;
    update_memory();
    return;
  }
  SimApp& app = apps_[task];
  Completion& done = app.completion;
  done.done_s = now_s_;
  const double latency = done.done_s - done.scheduled_s;
  const bool met = latency <= done.target_s + kTargetSlack;
  AppStats& stats = app.stats;
  ++stats.completed;
  ++(met ? stats.met : stats.missed);
  ++stats.level_count[static_cast<std::size_t>(done.level)];
  ++stats.placement_count[static_cast<std::size_t>(done.placement)];
  ++stats.origin_count[static_cast<int>(job.costs->latency_origin(done.placement, done.opp))];
  stats.latency.add(latency);
  stats.accuracy_sum += job.costs->accuracy(done.level);
  stats.energy_j += job.energy_j;
  if (options_.on_inference) {
    options_.on_inference({job.task, app.current.arrival, done.scheduled_s, done.start_s, done.done_s,
                           done.target_s, done.level, done.placement, done.opp, job.energy_j,
                           app.min_accuracy, app.current.draw, met});
  }
  app.running = false;
  policy_.observe(view(), done);
  next_of_queue(task);
}

void Simulation::next_of_queue(std::size_t a) {
  SimApp& app = apps_[a];
  while (!app.queue.empty()) {
    const Waiting waiting = app.queue.front();
    app.queue.pop_front();
    const std::size_t phase = std::min(app.phase, app.app->phases.size() - 1);
    const double patience = app.app->phases[phase].arrivals.period_s;
    if (app.app->on_overrun != OnOverrun::late || now_s_ - waiting.scheduled_s < patience * (1 - 1e-9))
      return start(a, waiting);
    drop(a, waiting.scheduled_s);
  }
}

SimResult Simulation::finish(std::int64_t events) {
  if (heat_.modelled()) heat_.advance(duration_s_ - now_s_, power());
  now_s_ = duration_s_;
  if (options_.on_sample && now_s_ > sampled_s_) sample();
  SimResult result;
  result.duration_s = duration_s_;
  result.events = events;
  result.base_j = workload_.platform.base_power_w * duration_s_;
  for (SimCluster& cluster : clusters_) {
    cluster.advance(now_s_);
    result.clusters.push_back(cluster.stats());
  }
  for (std::size_t task = 0; task < apps_.size() + contenders_.size(); ++task) {
    for (SimCluster& cluster : clusters_) {
      const int id = static_cast<int>(task);
      if (!cluster.runs(id)) continue;
      const double joules = cluster.remove(now_s_, id).energy_j;
      (task < apps_.size() ? apps_[task].stats.energy_j : contenders_j_) += joules;
    }
  }
  result.contenders_j = contenders_j_;
  if (heat_.modelled()) result.highest_c = heat_.highest_c();
  result.throttled_s = heat_.throttled_s();
  for (std::size_t a = 0; a < apps_.size(); ++a) {
    SimApp& app = apps_[a];
    std::int64_t& missed = app.stats.missed;
    if (app.running) {
      ++app.stats.unfinished;
      missed += now_s_ - app.completion.scheduled_s > app.completion.target_s ? 1 : 0;
    }
    for (const Waiting& waiting : app.queue) {
      ++app.stats.unfinished;
      missed += now_s_ - waiting.scheduled_s > app_views_[a].target_s ? 1 : 0;
    }
    result.apps.push_back(std::move(app.stats));
  }
  return result;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/simulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "dsn/replay/arrivals.h"
#include "dsn/replay/bind.h"
#include "dsn/replay/sim_cluster.h"

namespace dsn {
namespace {

constexpr double kNever = SimCluster::kNever;
constexpr double kTargetSlack = 1e-9;  // seconds: rounding of sums of times, far below any clock

struct Waiting {
  std::int64_t arrival = 0;
  double scheduled_s = 0;
  double normal = 0;  // its draw of latency noise, the same under every policy
};

struct AppState {
  AppState(const TraceApp& trace_app, std::uint64_t seed)
      : app(&trace_app), arrivals(trace_app, seed), noise(Rng::stream(seed, "noise/" + trace_app.name)) {}
  const TraceApp* app;
  ArrivalStream arrivals;
  Rng noise;
  std::size_t phase = 0;
  std::deque<Waiting> queue;
  bool running = false;
  Waiting current;
  Completion completion;  // of the inference that runs
  AppStats stats;
};

struct ContenderState {
  const TraceContender* contender = nullptr;
  std::size_t phase = 0;
  bool active = false;
  std::uint64_t releases = 0;
};

class Simulation {
 public:
  Simulation(const Workload& workload, Policy& policy, const SimOptions& options)
      : workload_(workload), policy_(policy), options_(options), duration_s_(workload.trace.duration_s) {
    const Trace& trace = workload.trace;
    const std::size_t tasks = trace.apps.size() + trace.contenders.size();
    for (const Cluster& cluster : workload.platform.clusters) {
      const std::string& governor =
          cluster.kind == ClusterKind::gpu ? options.governors.gpu : options.governors.cpu;
      clusters_.emplace_back(cluster, workload.platform.power_known, make_governor(governor, cluster, tasks));
    }
    cluster_views_.resize(clusters_.size());
    for (std::size_t a = 0; a < trace.apps.size(); ++a) {
      const TraceApp& app = trace.apps[a];
      const CostTable& costs = workload.costs[a];
      AppState& state = apps_.emplace_back(app, options.seed);
      state.stats.level_count.assign(static_cast<std::size_t>(costs.levels()), 0);
      state.stats.placement_count.assign(costs.placements().size(), 0);
      AppView& view = app_views_.emplace_back();
      view.costs = &costs;
      view.target_s = app.target_s;
      view.probability = app.probability;
      view.min_accuracy = app.min_accuracy;
      view.level = costs.levels() - 1;  // what a user deploys before any policy
    }
    for (const TraceContender& contender : trace.contenders) contenders_.push_back({&contender, 0, false, 0});

    first_switch_ = clusters_.size();
    first_event_ = 2 * clusters_.size();
    first_contender_ = first_event_ + 1;
    first_app_ = first_contender_ + contenders_.size();
    first_tick_ = first_app_ + apps_.size();
    timers_.assign(first_tick_ + clusters_.size(), kNever);
  }

  SimResult run(const Job& job) {
    if (!workload_.trace.events.empty()) timers_[first_event_] = workload_.trace.events.front().at_s;
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
      now_s_ = at;
      dispatch(next);
    }
    return finish(events);
  }

 private:
  void dispatch(std::size_t timer) {
    if (timer < first_switch_) {
      complete(timer);
    } else if (timer < first_event_) {
      clusters_[timer - first_switch_].finish_switch(now_s_);
      publish(timer - first_switch_);
    } else if (timer < first_contender_) {
      trace_event();
    } else if (timer < first_app_) {
      contender_event(timer - first_contender_);
    } else if (timer < first_tick_) {
      arrive(timer - first_app_);
    } else {
      clusters_[timer - first_tick_].tick(now_s_);
      publish(timer - first_tick_);
    }
  }

  void publish(std::size_t cluster) {
    const SimCluster& c = clusters_[cluster];
    timers_[cluster] = c.done_at();
    timers_[first_switch_ + cluster] = c.switch_at();
    timers_[first_tick_ + cluster] = c.tick_at();
  }

  SystemView view() {
    for (std::size_t a = 0; a < apps_.size(); ++a) {
      const std::vector<AppPhase>& phases = apps_[a].app->phases;
      std::size_t& phase = apps_[a].phase;
      while (phase < phases.size() && phases[phase].start_s + phases[phase].duration_s <= now_s_) ++phase;
      const bool active = phase < phases.size() && phases[phase].start_s <= now_s_;
      app_views_[a].active = active || apps_[a].running || !apps_[a].queue.empty();
      app_views_[a].period_s = active ? phases[phase].arrivals.period_s : 0;
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

  void arrive(std::size_t a) {
    AppState& app = apps_[a];
    timers_[first_app_ + a] = app.arrivals.next();
    const Waiting waiting{app.stats.arrivals++, now_s_, workload_.trace.noise ? app.noise.normal() : 0.0};
    if (!app.running) {
      start(a, waiting);
    } else if (app.app->on_overrun == OnOverrun::queue) {
      app.queue.push_back(waiting);
    } else {
      ++app.stats.skipped;
      ++app.stats.missed;
      Completion dropped = app.completion;
      dropped.scheduled_s = now_s_;
      dropped.target_s = app_views_[a].target_s;
      dropped.dropped = true;
      policy_.observe(view(), dropped);
    }
  }

  void start(std::size_t a, const Waiting& waiting) {
    AppState& app = apps_[a];
    AppView& mine = app_views_[a];
    app.running = true;
    app.current = waiting;
    const SystemView seen = view();
    mine.waited_s = now_s_ - waiting.scheduled_s;
    const Decision decision = policy_.decide(seen, a);
    mine.waited_s = 0;
    check(decision, a);
    if (!decision.feasible) ++app.stats.infeasible;

    const AppChoice choice = decision.apps[a];
    if (app.stats.arrivals > 1) {
      app.stats.level_switches += choice.level != mine.level ? 1 : 0;
      app.stats.placement_switches += choice.placement != mine.placement ? 1 : 0;
    }
    mine.level = choice.level;
    mine.placement = choice.placement;
    const Placement placement = mine.costs->placements()[static_cast<std::size_t>(choice.placement)];
    const std::size_t cluster = static_cast<std::size_t>(placement.cluster);
    for (std::size_t k = 0; k < clusters_.size(); ++k) {
      if (decision.opp[k] == kLeaveToGovernor || !clusters_[k].settable()) {
        clusters_[k].release(now_s_);
      } else {
        clusters_[k].pin(now_s_, decision.opp[k]);
      }
    }
    const int opp = clusters_[cluster].requested_opp();
    app.completion = {
        static_cast<int>(a), choice.level, choice.placement, opp, waiting.scheduled_s, now_s_, 0,
        mine.target_s,       false};

    SimJob job;
    job.task = static_cast<int>(a);
    job.threads = placement.threads;
    job.remaining = 1;
    job.costs = mine.costs;
    job.level = choice.level;
    job.placement = choice.placement;
    // Log-normal around the median that the table holds: always positive.
    job.noise = std::exp(mine.costs->spread(choice.level, choice.placement, opp) * waiting.normal);
    clusters_[cluster].add(now_s_, job);
    for (std::size_t k = 0; k < clusters_.size(); ++k) publish(k);
  }

  void check(const Decision& decision, std::size_t a) const {
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
        throw Error(
            ErrorCode::failed,
            fmt::format("policy {}: chose OPP {} for cluster {}, which has {}", policy_.name(),
                        decision.opp[k], clusters_[k].cluster().name, clusters_[k].cluster().opps.size()));
      }
    }
  }

  void complete(std::size_t cluster) {
    const SimJob job = clusters_[cluster].complete(now_s_);
    publish(cluster);
    const std::size_t task = static_cast<std::size_t>(job.task);
    if (task >= apps_.size()) {
      contenders_j_ += job.energy_j;
      return;
    }
    AppState& app = apps_[task];
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
    stats.latency_s.push_back(latency);
    stats.accuracy_sum += job.costs->accuracy(done.level);
    stats.energy_j += job.energy_j;
    if (options_.on_inference) {
      options_.on_inference({job.task, app.current.arrival, done.scheduled_s, done.start_s, done.done_s,
                             done.target_s, done.level, done.placement, done.opp, job.energy_j, met});
    }
    app.running = false;
    policy_.observe(view(), done);
    if (!app.queue.empty()) {
      const Waiting waiting = app.queue.front();
      app.queue.pop_front();
      start(task, waiting);
    }
  }

  void trace_event() {
    const TraceEvent& event = workload_.trace.events[event_];
    if (const auto* set = std::get_if<SetEvent>(&event.what)) {
      AppView& app = app_views_[set->app];
      if (set->target_s) app.target_s = *set->target_s;
      if (set->probability) app.probability = *set->probability;
      if (set->min_accuracy) app.min_accuracy = *set->min_accuracy;
    } else {
      const CapEvent& cap = std::get<CapEvent>(event.what);
      const std::size_t k = bind_cluster(workload_.trace, cap.cluster, workload_.platform);
      clusters_[k].set_max_opp(now_s_, capped_opp(clusters_[k].cluster(), cap.max_freq_hz));
      publish(k);
    }
    ++event_;
    timers_[first_event_] =
        event_ < workload_.trace.events.size() ? workload_.trace.events[event_].at_s : kNever;
  }

  void contender_event(std::size_t i) {
    ContenderState& state = contenders_[i];
    const ContenderPhase& phase = state.contender->phases[state.phase];
    const std::size_t k = bind_cluster(workload_.trace, phase.cluster, workload_.platform);
    const int task = static_cast<int>(apps_.size() + i);
    const double end = phase.start_s + phase.duration_s;
    double& timer = timers_[first_contender_ + i];
    if (state.active && now_s_ >= end) {
      if (clusters_[k].runs(task)) contenders_j_ += clusters_[k].remove(now_s_, task).energy_j;
      state.active = false;
      state.releases = 0;
      ++state.phase;
      timer = state.phase < state.contender->phases.size() ? state.contender->phases[state.phase].start_s
                                                           : kNever;
    } else {
      const bool busy = phase.period_s == 0;
      if (clusters_[k].runs(task)) {
        clusters_[k].add_work(now_s_, task, phase.run_s);
      } else {
        SimJob job;
        job.task = task;
        job.threads = phase.threads;
        job.remaining = busy ? kNever : phase.run_s;
        clusters_[k].add(now_s_, job);
      }
      state.active = true;
      const double release =
          busy ? end : phase.start_s + static_cast<double>(++state.releases) * phase.period_s;
      timer = release < end - 1e-9 * phase.period_s ? release : end;
    }
    publish(k);
  }

  SimResult finish(std::int64_t events) {
    now_s_ = duration_s_;
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
    for (std::size_t a = 0; a < apps_.size(); ++a) {
      AppState& app = apps_[a];
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

  const Workload& workload_;
  Policy& policy_;
  const SimOptions& options_;
  double duration_s_;
  double now_s_ = 0;
  std::vector<SimCluster> clusters_;
  std::vector<AppState> apps_;
  std::vector<ContenderState> contenders_;
  std::vector<AppView> app_views_;
  std::vector<ClusterView> cluster_views_;
  std::size_t event_ = 0;
  double contenders_j_ = 0;
  // The next moment of everything that happens by itself, in order of precedence; few enough to scan.
  std::vector<double> timers_;
  std::size_t first_switch_ = 0, first_event_ = 0, first_contender_ = 0, first_app_ = 0, first_tick_ = 0;
};

}  // namespace

double SimResult::total_j() const noexcept {
  double sum = base_j;
  for (const ClusterStats& cluster : clusters) sum += cluster.idle_j + cluster.active_j;
  return sum;
}

SimResult simulate(const Workload& workload, Policy& policy, const SimOptions& options, const Job& job) {
  check_workload(workload);
  for (const CostTable& costs : workload.costs) policy.check(costs);
  return Simulation(workload, policy, options).run(job);
}

}  // namespace dsn

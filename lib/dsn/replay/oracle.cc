// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dsn/replay/arrivals.h"
#include "dsn/replay/bind.h"
#include "dsn/replay/governor.h"

namespace dsn {
namespace {

// Powers as the simulator reads them: nothing is known, nothing is spent.
double idle_power(const Platform& platform, std::size_t cluster, std::size_t opp) {
  return platform.power_known ? platform.clusters[cluster].opps[opp].idle_power_w.value_or(0) : 0.0;
}
double active_power(const Platform& platform, std::size_t cluster, std::size_t opp) {
  if (!platform.power_known) return 0.0;
  return platform.clusters[cluster].opps[opp].busy_power_w.value_or(0) - idle_power(platform, cluster, opp);
}

double cheapest_idle(const Platform& platform, std::size_t cluster) {
  double least = idle_power(platform, cluster, 0);
  for (std::size_t o = 1; o < platform.clusters[cluster].opps.size(); ++o)
    least = std::min(least, idle_power(platform, cluster, o));
  return least;
}

// Of a cluster's cores, over all events of the trace.
double fewest_online(const Workload& workload, std::size_t cluster) {
  double online = core_count(workload.platform.clusters[cluster]);
  for (const TraceEvent& event : workload.trace.events) {
    for (const auto& [k, count] : online_after(event, workload)) {
      if (k == cluster) online = std::min<double>(online, count);
    }
  }
  return online;
}

// Targets and floors as they are at an arrival.
class Requirements {
 public:
  Requirements(const Trace& trace, std::size_t app) : trace_(trace), app_(app) {
    target_s = trace.apps[app].target_s;
    min_accuracy = trace.apps[app].min_accuracy;
  }
  void advance(double now_s) {
    for (; next_ < trace_.events.size() && trace_.events[next_].at_s <= now_s; ++next_) {
      const auto* set = std::get_if<SetEvent>(&trace_.events[next_].what);
      if (set == nullptr || set->app != app_) continue;
      target_s = set->target_s.value_or(target_s);
      min_accuracy = set->min_accuracy.value_or(min_accuracy);
    }
  }
  double target_s = 0, min_accuracy = 0;

 private:
  const Trace& trace_;
  std::size_t app_, next_ = 0;
};

}  // namespace

Oracle::Oracle(const Workload& workload) : workload_(&workload) {
  const Platform& platform = workload.platform;
  double idle_w = platform.base_power_w;
  for (std::size_t k = 0; k < platform.clusters.size(); ++k) idle_w += cheapest_idle(platform, k);
  for (const TraceContender& contender : workload.trace.contenders) add_contender(contender);
  standing_j_ = idle_w * workload.trace.duration_s + contenders_j_;
  hulls_.resize(workload.costs.size());
  for (std::size_t a = 0; a < workload.costs.size(); ++a) {
    for (int level = 0; level < workload.costs[a].levels(); ++level) {
      for (std::size_t p = 0; p < workload.costs[a].placements().size(); ++p)
        add_hull(a, level, static_cast<int>(p));
    }
  }
}

// A contender's threads always get at least their share of the cores beside everything else that may run
// there. What work that leaves at the lowest clock is done by the end of the phase, whatever the policy does:
// with releases of run_s every period_s and service at rate r, at least min over t of (released before t) + r
// * (end - t), which is linear in t between releases.
void Oracle::add_contender(const TraceContender& contender) {
  const Platform& platform = workload_->platform;
  for (const ContenderPhase& phase : contender.phases) {
    const std::size_t k = bind_cluster(workload_->trace, phase.cluster, platform);
    const Cluster& cluster = platform.clusters[k];
    const double cores = core_count(cluster);
    double threads = 0;
    for (const TraceContender& other : workload_->trace.contenders) {
      double most = 0;
      for (const ContenderPhase& p : other.phases) {
        if (bind_cluster(workload_->trace, p.cluster, platform) == k)
          most = std::max(most, double(p.threads));
      }
      threads += most;
    }
    for (const CostTable& costs : workload_->costs) {
      int most = 0;
      for (const Placement& p : costs.placements()) {
        if (p.cluster == static_cast<int>(k)) most = std::max(most, std::min(p.threads, core_count(cluster)));
      }
      threads += most;
    }
    const double share = std::min(1.0, fewest_online(*workload_, k) / threads);
    const double highest = cluster.opps.back().freq_hz;
    double least_power = std::numeric_limits<double>::infinity(), least_per_work = least_power, slowest = 1;
    for (std::size_t o = 0; o < cluster.opps.size(); ++o) {
      const double power = active_power(platform, k, o) * phase.threads / cores;
      const double rate = highest > 0 ? cluster.opps[o].freq_hz / highest : 1.0;
      least_power = std::min(least_power, power);
      least_per_work = std::min(least_per_work, power / rate);
      slowest = std::min(slowest, rate);
    }
    if (phase.period_s == 0) {
      contenders_j_ += least_power * share * phase.duration_s;
      continue;
    }
    const double releases = std::ceil(phase.duration_s / phase.period_s - 1e-9);
    if (phase.runtime_s > 0) {
      contenders_j_ +=
          least_power * share * phase.runtime_s * std::floor(phase.duration_s / phase.period_s + 1e-9);
      continue;
    }
    const double rate = slowest * share;
    const double last = (releases - 1) * phase.period_s;
    const double work = std::min({releases * phase.run_s, rate * phase.duration_s,
                                  (releases - 1) * phase.run_s + rate * (phase.duration_s - last)});
    contenders_j_ += least_per_work * work;
  }
}

// The lower left part of the convex hull of the OPPs' points: from the fastest to the cheapest, ever flatter.
void Oracle::add_hull(std::size_t app, int level, int placement) {
  const CostTable& costs = workload_->costs[app];
  const Placement& at = costs.placements()[static_cast<std::size_t>(placement)];
  const auto k = static_cast<std::size_t>(at.cluster);
  const Cluster& cluster = workload_->platform.clusters[k];
  const double cores = core_count(cluster);
  const double taken = std::min<double>(at.threads, cores) / cores;
  const double idle = cheapest_idle(workload_->platform, k);
  Hull hull{level, placement, std::numeric_limits<double>::infinity(), 0, {}};
  std::vector<Vertex> points;
  for (int o = 0; o < static_cast<int>(cluster.opps.size()); ++o) {
    const double surcharge = idle_power(workload_->platform, k, static_cast<std::size_t>(o)) - idle;
    const double time = costs.latency(level, placement, o);
    points.push_back({time, costs.energy(level, placement, o) + surcharge * taken * time, o});
    hull.least_spread = std::min(hull.least_spread, costs.spread(level, placement, o));
    hull.most_spread = std::max(hull.most_spread, costs.spread(level, placement, o));
  }
  std::sort(points.begin(), points.end(), [](const Vertex& a, const Vertex& b) {
    return a.time < b.time || (a.time == b.time && a.energy < b.energy);
  });
  std::vector<Vertex>& h = hull.vertices;
  for (const Vertex& point : points) {
    if (!h.empty() && point.energy >= h.back().energy) continue;
    const auto above = [&](const Vertex& a, const Vertex& b) {  // b is not below the line from a to the point
      return (b.energy - a.energy) * (point.time - a.time) >= (point.energy - a.energy) * (b.time - a.time);
    };
    while (h.size() > 1 && above(h[h.size() - 2], h.back())) h.pop_back();
    h.push_back(point);
  }
  hulls_[app].push_back(std::move(hull));
}

Oracle::Choice Oracle::serve(std::size_t app, double target_s, double min_accuracy,
                             const LatencyDraw& draw) const {
  const CostTable& costs = workload_->costs[app];
  Choice best;
  for (const Hull& hull : hulls_[app]) {
    if (costs.accuracy(hull.level) < min_accuracy) continue;
    const double noise = draw.on(draw.normal > 0 ? hull.least_spread : hull.most_spread);
    const double limit = target_s / noise;
    const std::vector<Vertex>& h = hull.vertices;
    if (h.front().time > limit) continue;
    std::size_t last = h.size() - 1;
    while (h[last].time > limit) --last;
    Vertex v = h[last];
    if (last + 1 < h.size()) {
      const Vertex& slow = h[last + 1];
      const double share = (limit - v.time) / (slow.time - v.time);
      v = {limit, (1 - share) * v.energy + share * slow.energy, share > 0.5 ? slow.opp : v.opp};
    }
    if (!best.feasible || noise * v.energy < best.energy_j)
      best = {true, hull.level, hull.placement, v.opp, noise * v.energy, noise * v.time};
  }
  return best;
}

void Oracle::add(const InferenceRecord& record, ServiceBound& bound) const {
  const double accuracy = workload_->costs[static_cast<std::size_t>(record.app)].accuracy(record.level);
  if (!record.met || accuracy < record.min_accuracy) return;
  // What was met counts as feasible: the rounding that the simulator allows is allowed here.
  const double target_s = std::max(record.target_s, record.done_s - record.start_s) * (1 + 1e-9);
  const auto app = static_cast<std::size_t>(record.app);
  bound.required_j += serve(app, target_s, record.min_accuracy, record.draw).energy_j;
  bound.delivered_j += serve(app, target_s, accuracy, record.draw).energy_j;
}

SimResult Oracle::result(std::uint64_t seed) const {
  const Trace& trace = workload_->trace;
  SimResult result;
  result.duration_s = trace.duration_s;
  result.base_j = workload_->platform.base_power_w * trace.duration_s;
  result.contenders_j = contenders_j_;
  for (std::size_t k = 0; k < workload_->platform.clusters.size(); ++k) {
    ClusterStats stats;
    stats.opp_s.assign(workload_->platform.clusters[k].opps.size(), 0.0);
    stats.opp_s[0] = trace.duration_s;
    stats.idle_j = cheapest_idle(workload_->platform, k) * trace.duration_s;
    result.clusters.push_back(std::move(stats));
  }
  result.clusters.front().active_j += contenders_j_;
  for (std::size_t a = 0; a < trace.apps.size(); ++a) {
    const CostTable& costs = workload_->costs[a];
    AppStats stats;
    stats.level_count.assign(static_cast<std::size_t>(costs.levels()), 0);
    stats.placement_count.assign(costs.placements().size(), 0);
    ArrivalStream arrivals(trace.apps[a], seed);
    Rng noise = noise_stream(seed, trace.apps[a].name);
    Requirements wanted(trace, a);
    for (double at = arrivals.next(); at < trace.duration_s; at = arrivals.next()) {
      ++stats.arrivals;
      const LatencyDraw draw{trace.noise ? noise.normal() : 0.0, arrivals.factor()};
      wanted.advance(at);
      const Choice choice = serve(a, wanted.target_s, wanted.min_accuracy, draw);
      if (!choice.feasible) {
        ++stats.infeasible;
        ++stats.skipped;
        ++stats.missed;
        continue;
      }
      ++stats.completed;
      ++stats.met;
      ++stats.level_count[static_cast<std::size_t>(choice.level)];
      ++stats.placement_count[static_cast<std::size_t>(choice.placement)];
      ++stats.origin_count[static_cast<int>(costs.latency_origin(choice.placement, choice.opp))];
      stats.latency.add(choice.latency_s);
      stats.accuracy_sum += costs.accuracy(choice.level);
      stats.energy_j += choice.energy_j;
      const Placement placement = costs.placements()[static_cast<std::size_t>(choice.placement)];
      ClusterStats& cluster = result.clusters[static_cast<std::size_t>(placement.cluster)];
      cluster.active_j += choice.energy_j;
      cluster.busy_core_s += choice.latency_s * placement.threads;
    }
    result.apps.push_back(std::move(stats));
  }
  return result;
}

}  // namespace dsn

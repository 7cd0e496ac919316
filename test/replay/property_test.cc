// SPDX-License-Identifier: Apache-2.0
// What must hold whatever is simulated: nothing is created or lost.
#include <doctest/doctest.h>

#include <numeric>

#include "dsn/core/random.h"
#include "dsn/replay/oracle.h"
#include "dsn/replay/simulator.h"
#include "fixture.h"

namespace dsn::test {
namespace {

using doctest::Approx;

double between(Rng& rng, double low, double high) {
  return low + (high - low) * rng.uniform();
}

Platform random_platform(Rng& rng) {
  std::vector<Cluster> clusters;
  const std::size_t count = 1 + rng.below(3);
  for (std::size_t k = 0; k < count; ++k) {
    std::vector<double> freqs;
    double f = between(rng, 1e8, 4e8);
    for (std::size_t i = 0; i <= rng.below(5); ++i) freqs.push_back(f += between(rng, 5e7, 4e8));
    const bool gpu = k > 0 && rng.below(3) == 0;
    clusters.push_back(make_cluster(fmt::format("c{}", k), 1 + static_cast<int>(rng.below(6)), freqs,
                                    rng.below(2) == 0 ? 0 : between(rng, 1e-4, 2e-3),
                                    gpu ? ClusterKind::gpu : ClusterKind::cpu));
  }
  return make_platform(std::move(clusters), between(rng, 0, 3));
}

Arrivals random_arrivals(Rng& rng) {
  Arrivals arrivals;
  arrivals.process = static_cast<ArrivalProcess>(rng.below(3));
  arrivals.period_s = between(rng, 0.01, 0.1);
  arrivals.cv2 = between(rng, 0.3, 5);
  if (arrivals.process == ArrivalProcess::periodic) arrivals.jitter_s = between(rng, 0, arrivals.period_s);
  return arrivals;
}

struct Case {
  Workload workload;
  std::string governor_cpu, governor_gpu;
  bool pins = false;
};

Case random_case(Rng& rng) {
  Case out;
  Platform platform = random_platform(rng);
  const std::size_t clusters = platform.clusters.size();
  const auto any_cluster = [&] { return platform.clusters[rng.below(clusters)].name; };
  Trace trace = make_trace(between(rng, 2, 6), {});
  trace.noise = rng.below(2) == 0;
  std::vector<std::vector<PlacementCost>> costs;
  for (std::size_t a = 0; a < 1 + rng.below(3); ++a) {
    TraceApp app = make_app(fmt::format("a{}", a), between(rng, 0.02, 0.2), 1, 1);
    app.on_overrun = static_cast<OnOverrun>(rng.below(4));
    const double middle = between(rng, 0.2, 0.8) * trace.duration_s;
    app.phases = {{"", 0, middle, random_arrivals(rng)},
                  {"", middle, trace.duration_s - middle, random_arrivals(rng)}};
    trace.apps.push_back(app);
    std::vector<PlacementCost> rows;
    for (const Cluster& cluster : platform.clusters) {
      const double base = between(rng, 0.005, 0.05);
      rows.push_back({cluster.name,
                      1 + static_cast<int>(rng.below(3)),
                      {base, 1.5 * base, 2.5 * base},
                      between(rng, 0, 0.1)});
    }
    costs.push_back(rows);
  }
  for (std::size_t c = 0; c < rng.below(4); ++c) {
    const double start = between(rng, 0, trace.duration_s / 2),
                 length = between(rng, 0.1, trace.duration_s / 2);
    trace.contenders.push_back({fmt::format("c{}", c), "", {}});
    trace.contenders.back().phases.push_back(
        rng.below(2) == 0 ? busy_phase(any_cluster(), start, length, 1 + static_cast<int>(rng.below(4)))
                          : periodic_phase(any_cluster(), start, length, between(rng, 1e-3, 2e-2),
                                           between(rng, 2e-3, 4e-2)));
  }
  for (TraceContender& contender : trace.contenders) {
    ContenderPhase& phase = contender.phases.front();
    if (rng.below(3) == 0) phase.memory_share = between(rng, 0, 0.6);
    if (phase.period_s > 0 && rng.below(3) == 0) {
      phase.runtime_s = between(rng, 0.1, 1) * phase.period_s;
      phase.run_s = 0;
    }
  }
  if (rng.below(3) == 0) {
    const Cluster& cluster = platform.clusters.front();
    const auto online = static_cast<int>(1 + rng.below(cluster.cpus.size()));
    trace.events.push_back(
        {between(rng, 0, trace.duration_s), "/events/0", HotplugEvent{{cluster.name, ""}, online}});
  }
  if (trace.events.empty() && rng.below(2) == 0) {
    const double at = between(rng, 0, trace.duration_s);
    trace.events.push_back({at, "/events/0", CapEvent{{any_cluster(), ""}, between(rng, 1e8, 1e9)}});
    SetEvent set;
    set.target_s = between(rng, 0.01, 0.3);
    trace.events.push_back({at, "/events/1", set});
  }
  constexpr const char* kCpu[] = {"performance", "powersave", "schedutil", "ondemand", "conservative"};
  constexpr const char* kGpu[] = {"performance", "powersave", "nvhost_podgov", "simple_ondemand",
                                  "userspace=300MHz"};
  const std::size_t governor = rng.below(std::size(kCpu));
  out.governor_cpu = kCpu[governor];
  out.governor_gpu = kGpu[governor];
  out.pins = rng.below(2) == 0;
  out.workload = make_workload(std::move(trace), std::move(platform), costs);
  return out;
}

}  // namespace

TEST_CASE("simulate: time, energy and arrivals are conserved over random workloads") {
  Rng rng(20240601);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const Case c = random_case(rng);
    const Workload& w = c.workload;
    Rng choices(static_cast<std::uint64_t>(round));
    ScriptedPolicy policy([&](const SystemView& view, std::size_t app, Decision& d) {
      d.apps[app].level =
          static_cast<int>(choices.below(static_cast<std::uint64_t>(view.apps[app].costs->levels())));
      d.apps[app].placement = static_cast<int>(choices.below(view.apps[app].costs->placements().size()));
      for (std::size_t k = 0; c.pins && k < view.clusters.size(); ++k) {
        if (choices.below(3) > 0)
          d.opp[k] = static_cast<int>(choices.below(view.clusters[k].cluster->opps.size()));
      }
    });
    SimOptions options;
    options.governors = {c.governor_cpu, c.governor_gpu};
    options.seed = static_cast<std::uint64_t>(round);
    double recorded_j = 0;
    double latest = 0;
    const Oracle oracle(w);
    ServiceBound bound{oracle.standing_j(), oracle.standing_j()};
    options.on_inference = [&](const InferenceRecord& r) {
      recorded_j += r.energy_j;
      oracle.add(r, bound);
      CHECK(r.scheduled_s <= r.start_s);
      CHECK(r.start_s < r.done_s);
      CHECK(r.done_s >= latest);  // events in time order
      latest = r.done_s;
      // Nothing is faster than alone at the highest OPP (5 sigma of the noise's log-normal aside).
      const CostTable& costs = w.costs[static_cast<std::size_t>(r.app)];
      const double alone = costs.latency(r.level, r.placement, costs.opps(r.placement) - 1);
      CHECK(r.done_s - r.start_s >= alone * (w.trace.noise ? 0.3 : 1 - 1e-9));
    };
    const SimResult result = simulate(w, policy, options);

    const double duration = w.trace.duration_s;
    REQUIRE(result.clusters.size() == w.platform.clusters.size());
    double active = 0, idle = 0;
    for (std::size_t k = 0; k < result.clusters.size(); ++k) {
      const ClusterStats& stats = result.clusters[k];
      const Cluster& cluster = w.platform.clusters[k];
      const double cores = cluster.kind == ClusterKind::gpu ? 1 : static_cast<double>(cluster.cpus.size());
      CHECK(std::accumulate(stats.opp_s.begin(), stats.opp_s.end(), 0.0) == Approx(duration));
      CHECK(stats.busy_core_s <= cores * duration * (1 + 1e-9));
      CHECK(stats.governed_s <= duration * (1 + 1e-9));
      CHECK(stats.idle_j >= *cluster.opps.front().idle_power_w * duration * (1 - 1e-9));
      CHECK(stats.idle_j <= *cluster.opps.back().idle_power_w * duration * (1 + 1e-9));
      CHECK(stats.active_j <=
            (*cluster.opps.back().busy_power_w - *cluster.opps.back().idle_power_w) * duration * (1 + 1e-9));
      active += stats.active_j;
      idle += stats.idle_j;
    }
    double charged = result.contenders_j;
    double apps_j = 0;
    for (std::size_t a = 0; a < result.apps.size(); ++a) {
      const AppStats& app = result.apps[a];
      CHECK(app.arrivals == app.completed + app.skipped + app.unfinished);
      CHECK(app.met + app.missed >= app.completed + app.skipped);
      CHECK(app.met + app.missed <= app.arrivals);
      CHECK(app.met <= app.completed);
      CHECK(static_cast<std::int64_t>(app.latency.size()) == app.completed);
      CHECK(std::accumulate(app.level_count.begin(), app.level_count.end(), std::int64_t{0}) ==
            app.completed);
      CHECK(std::accumulate(app.placement_count.begin(), app.placement_count.end(), std::int64_t{0}) ==
            app.completed);
      if (w.trace.apps[a].on_overrun == OnOverrun::queue) CHECK(app.skipped == 0);
      if (w.trace.apps[a].on_overrun == OnOverrun::skip) CHECK(app.unfinished <= 1);
      apps_j += app.energy_j;
    }
    charged += apps_j;
    CHECK(charged == Approx(active).epsilon(1e-9));  // every joule above idle is somebody's
    CHECK(recorded_j <= apps_j * (1 + 1e-9));
    CHECK(result.total_j() == Approx(result.base_j + idle + active));
    CHECK(result.total_j() >= w.platform.base_power_w * duration * (1 - 1e-9));
    // No policy serves what it served for less than the oracle.
    CHECK(bound.required_j <= result.total_j() * (1 + 1e-9));
    CHECK(bound.delivered_j <= result.total_j() * (1 + 1e-9));
    CHECK(bound.required_j <= bound.delivered_j * (1 + 1e-9));
    CHECK(oracle.contenders_j() <= result.contenders_j * (1 + 1e-9));
  }
}

TEST_CASE("simulate: the same seed gives the same result to the last bit") {
  Rng rng(7);
  for (int round = 0; round < 20; ++round) {
    const Case c = random_case(rng);
    SimOptions options;
    options.governors = {c.governor_cpu, c.governor_gpu};
    ScriptedPolicy first, second;
    const SimResult a = simulate(c.workload, first, options);
    const SimResult b = simulate(c.workload, second, options);
    CHECK(a.total_j() == b.total_j());
    CHECK(a.events == b.events);
    for (std::size_t i = 0; i < a.apps.size(); ++i) {
      CHECK(a.apps[i].latency == b.apps[i].latency);
      CHECK(a.apps[i].energy_j == b.apps[i].energy_j);
    }
  }
}

}  // namespace dsn::test

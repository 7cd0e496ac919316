// SPDX-License-Identifier: Apache-2.0
// How long a decision takes: applications x 8 levels x 3 clusters x 25 OPPs, under contention that comes and
// goes. Each decision is timed alone: quantiles are what an inference waits for, a mean says nothing about
// them.
//
//   decision_bench --benchmark_filter=dsn
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "dsn/core/random.h"
#include "dsn/runtime/policy.h"
#include "fakes/small_family.h"

using namespace dsn;
using namespace dsn::fakes;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kOpps = 25, kLevels = 8;
constexpr int kRounds = 20'000;  // decisions of all applications together

// Four small cores, four large ones and a GPU, with powers that rise with f^3.
Platform board() {
  struct Kind {
    const char* name;
    double most_hz, watts;
    ClusterKind kind;
  };
  Platform platform;
  for (const Kind& kind :
       {Kind{"little", 1.4e9, 0.6, ClusterKind::cpu}, Kind{"big", 2.2e9, 2.5, ClusterKind::cpu},
        Kind{"gpu", 1.1e9, 6.0, ClusterKind::gpu}}) {
    std::vector<double> freqs;
    for (int i = 1; i <= kOpps; ++i) freqs.push_back(kind.most_hz * (0.2 + 0.8 * i / kOpps));
    Cluster cluster = cluster_of(kind.name, kind.kind == ClusterKind::cpu ? 4 : 0, freqs);
    cluster.kind = kind.kind;
    for (Opp& opp : cluster.opps) {
      const double part = opp.freq_hz / kind.most_hz;
      opp.idle_power_w = 0.05 * kind.watts * part;
      opp.busy_power_w = *opp.idle_power_w + kind.watts * part * part * part;
    }
    platform.clusters.push_back(cluster);
  }
  platform.power_known = true;
  return platform;
}

CostTable costs_on(const Platform& platform) {
  const std::array<double, 3> slower = {5, 1.6, 1};  // than the GPU
  std::vector<double> accuracies;
  Lut lut;
  for (int level = 0; level < kLevels; ++level) {
    accuracies.push_back(0.74 + 0.007 * level);
    for (std::size_t c = 0; c < platform.clusters.size(); ++c) {
      const std::vector<Opp>& opps = platform.clusters[c].opps;
      for (const Opp& opp : {opps.front(), opps[kOpps / 2], opps.back()}) {
        const double at_most_s = 3e-3 * slower[c] * (1 + 0.55 * level);
        const double latency_s = at_most_s * (0.2 + 0.8 * opps.back().freq_hz / opp.freq_hz);
        add_row(lut, level, {platform.clusters[c].name, 1, opp.freq_hz, 1}, latency_s, 0.01);
      }
    }
  }
  return {family_of(accuracies), lut, platform};
}

// Times decide(); observe() runs between, untimed.
void decide(benchmark::State& state, const std::string& spec, double power_cap_w) {
  const Platform platform = board();
  const CostTable costs = costs_on(platform);
  const auto policy = make_policy(spec);
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector<AppView> apps(count);
  for (std::size_t a = 0; a < count; ++a) {
    apps[a].costs = &costs;
    apps[a].target_s = 20e-3 + 9e-3 * static_cast<double>(a);
    apps[a].period_s = 33e-3 * static_cast<double>(1 + a);
    apps[a].min_accuracy = 0.745;
  }
  std::vector<ClusterView> clusters(platform.clusters.size());
  for (std::size_t c = 0; c < clusters.size(); ++c) {
    clusters[c].cluster = &platform.clusters[c];
    clusters[c].opp = clusters[c].max_opp = kOpps - 1;
  }
  SystemView view{0, apps, clusters};
  view.power_cap_w = power_cap_w;
  Rng rng(1);
  std::vector<double> taken_us;
  taken_us.reserve(kRounds);
  long infeasible = 0, changes = 0;
  for (auto _ : state) {
    double sum_s = 0;
    for (int i = 0; i < kRounds; ++i) {
      const std::size_t a = static_cast<std::size_t>(i) % count;
      apps[a].waited_s = i % 11 == 0 ? 4e-3 : 0;
      const auto start = Clock::now();
      const Decision decision = policy->decide(view, a);
      const double took_s = std::chrono::duration<double>(Clock::now() - start).count();
      taken_us.push_back(1e6 * took_s);
      sum_s += took_s;
      infeasible += decision.feasible ? 0 : 1;
      changes += decision.apps[a].level != apps[a].level ? 1 : 0;
      for (std::size_t b = 0; b < count; ++b) {
        apps[b].level = decision.apps[b].level;
        apps[b].placement = decision.apps[b].placement;
      }
      for (std::size_t c = 0; c < clusters.size(); ++c)
        if (decision.opp[c] != kLeaveToGovernor) clusters[c].opp = decision.opp[c];
      const Placement place = costs.placements()[static_cast<std::size_t>(apps[a].placement)];
      const int opp = clusters[static_cast<std::size_t>(place.cluster)].opp;
      // Every 500 inferences others come or go; one in a hundred is stopped.
      const double slower = ((i / 500) % 2 == 1 ? 1.7 : 1.0) * (1 + 0.01 * rng.normal());
      const double stopped_s = rng.uniform() < 0.01 ? 8e-3 : 0;
      const double run_s = costs.latency(apps[a].level, apps[a].placement, opp) * slower + stopped_s;
      policy->observe(view, {static_cast<int>(a), apps[a].level, apps[a].placement, opp, view.now_s,
                             view.now_s, view.now_s + run_s, apps[a].target_s});
      view.now_s += 33e-3 / static_cast<double>(count);
    }
    state.SetIterationTime(sum_s / kRounds);
  }
  std::sort(taken_us.begin(), taken_us.end());
  const auto at = [&](double q) {
    return taken_us[static_cast<std::size_t>(q * static_cast<double>(taken_us.size() - 1))];
  };
  state.counters["p50_us"] = at(0.5);
  state.counters["p99_us"] = at(0.99);
  state.counters["p99.9_us"] = at(0.999);
  state.counters["largest_us"] = taken_us.back();
  const auto decisions = static_cast<double>(taken_us.size());
  state.counters["infeasible"] = static_cast<double>(infeasible) / decisions;
  state.counters["changes"] = static_cast<double>(changes) / decisions;
}

void growth(benchmark::internal::Benchmark* bench) {
  bench->ArgName("apps")->DenseRange(1, 8)->Iterations(1)->UseManualTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(decide, dsn, std::string("dsn"), 0.0)->Apply(growth);
BENCHMARK_CAPTURE(decide, min_energy, std::string("dsn:min-energy"), 0.0)->Apply(growth);
BENCHMARK_CAPTURE(decide, min_latency, std::string("dsn:min-latency"), 0.0)->Apply(growth);
BENCHMARK_CAPTURE(decide, capped, std::string("dsn"), 3.0)->Apply(growth);
BENCHMARK_CAPTURE(decide, alert, std::string("alert"), 0.0)->Apply(growth);

}  // namespace

BENCHMARK_MAIN();

// SPDX-License-Identifier: Apache-2.0
// Policies driven by hand, and a board whose energies are easy to compute.
#pragma once

#include <utility>
#include <vector>

#include "small_family.h"

namespace dsn::fakes {

// One or more applications on one platform, driven by hand: inference after inference at a fixed rate.
class Bench {
 public:
  explicit Bench(Platform platform) : platform_(std::move(platform)) {
    for (const Cluster& cluster : platform_.clusters) {
      ClusterView view;
      view.cluster = &cluster;
      view.max_opp = static_cast<int>(cluster.opps.size()) - 1;
      view.opp = view.max_opp;
      clusters_.push_back(view);
    }
  }
  AppView& add(const CostTable& costs, double target_s, double period_s = 0) {
    AppView app;
    app.costs = &costs;
    app.target_s = target_s;
    app.period_s = period_s;
    apps_.push_back(app);
    return apps_.back();
  }
  Decision decide(Policy& policy, std::size_t app = 0) {
    const Decision decision = policy.decide(view(), app);
    for (std::size_t a = 0; a < apps_.size(); ++a) {
      apps_[a].level = decision.apps[a].level;
      apps_[a].placement = decision.apps[a].placement;
    }
    for (std::size_t c = 0; c < clusters_.size(); ++c)
      if (decision.opp[c] != kLeaveToGovernor) clusters_[c].opp = decision.opp[c];
    return decision;
  }
  // Runs `count` inferences of every application, each `slowdown` times its latency.
  void run(Policy& policy, int count, double slowdown = 1, double period_s = 5e-3) {
    for (int i = 0; i < count; ++i) {
      for (std::size_t a = 0; a < apps_.size(); ++a) {
        const Decision decision = decide(policy, a);
        const AppChoice choice = decision.apps[a];
        const Placement place = apps_[a].costs->placements()[static_cast<std::size_t>(choice.placement)];
        const int opp = clusters_[static_cast<std::size_t>(place.cluster)].opp;
        const double took_s = slowdown * apps_[a].costs->latency(choice.level, choice.placement, opp);
        policy.observe(view(), {static_cast<int>(a), choice.level, choice.placement, opp, now_s, now_s,
                                now_s + took_s, apps_[a].target_s});
      }
      now_s += period_s;
    }
  }
  [[nodiscard]] SystemView view() const {
    SystemView view = system;
    view.now_s = now_s;
    view.apps = apps_;
    view.clusters = clusters_;
    return view;
  }

  double now_s = 0;
  SystemView system;  // caps and the like
  std::vector<AppView> apps_;
  std::vector<ClusterView> clusters_;

 private:
  Platform platform_;
};

// Power rises with f^3, idle power with f: the slowest OPP that keeps the target is the cheapest. One thread
// of four takes 0.375 f^3 W (f in GHz) above 0.1 f W idle, so level l costs 0.75 f^2 W times its latency at 2
// GHz.
inline Platform powered_platform() {
  Platform platform;
  platform.name = "board";
  platform.clusters.push_back(cluster_of("big", 4, {0.5e9, 1e9, 1.5e9, 2e9}));
  for (Opp& opp : platform.clusters[0].opps) {
    const double ghz = opp.freq_hz * 1e-9;
    opp.idle_power_w = 0.1 * ghz;
    opp.busy_power_w = 0.1 * ghz + 1.5 * ghz * ghz * ghz;
  }
  platform.power_known = true;
  return platform;
}

inline CostTable powered_costs() {
  Lut lut;
  const std::vector<double> at_2ghz = {1e-3, 2e-3, 4e-3};
  for (int level = 0; level < 3; ++level)
    for (const double freq_hz : {0.5e9, 1e9, 1.5e9, 2e9})
      add_row(lut, level, {"big", 1, freq_hz, 1}, at_2ghz[static_cast<std::size_t>(level)] * 2e9 / freq_hz);
  return {family_of({0.90, 0.92, 0.94}), lut, powered_platform()};
}

}  // namespace dsn::fakes

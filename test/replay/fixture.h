// SPDX-License-Identifier: Apache-2.0
// Small platforms, cost tables and traces made by hand, and a policy that does as it is told.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/replay/simulator.h"
#include "dsn/replay/workload.h"

namespace dsn::test {

// `freqs_hz`: one OPP each; busy power 1 W per core and GHz, idle power 0.1 W per GHz.
inline Cluster make_cluster(const std::string& name, int cores, const std::vector<double>& freqs_hz,
                            double transition_s = 0, ClusterKind kind = ClusterKind::cpu) {
  Cluster cluster;
  cluster.name = name;
  cluster.kind = kind;
  cluster.knob = "policy-" + name;
  if (kind == ClusterKind::cpu) {
    for (int i = 0; i < cores; ++i) cluster.cpus.push_back(i);
  }
  for (const double f : freqs_hz) {
    const double ghz = f * 1e-9;
    cluster.opps.push_back({f, std::nullopt, 0.1 * ghz, 0.1 * ghz + cores * ghz});
  }
  cluster.transition_latency_s = transition_s;
  cluster.power_source = "made up";
  return cluster;
}

inline Platform make_platform(std::vector<Cluster> clusters, double base_w = 2.0) {
  Platform platform;
  platform.name = "test board";
  platform.clusters = std::move(clusters);
  platform.base_power_w = base_w;
  platform.power_known = true;
  platform.power_rail = "module";
  platform.document = Json::object();
  platform.sha256 = std::string(64, 'a');
  return platform;
}

// One row of latencies: level l takes levels_s[l] at the highest OPP of `cluster` with `threads` threads,
// inversely with frequency below.
struct PlacementCost {
  std::string cluster;
  int threads = 1;
  std::vector<double> levels_s;
  double relative_mad = 0;
};

inline AppModel make_model(const Platform& platform, const std::vector<PlacementCost>& costs) {
  AppModel model;
  const std::size_t levels = costs.front().levels_s.size();
  for (std::size_t l = 0; l < levels; ++l) {
    Level level;
    level.id = static_cast<int>(l);
    level.config.r = static_cast<int>(l) + 1;
    level.accuracy = 0.7 + 0.05 * static_cast<double>(l);
    model.family.levels.push_back(level);
    LutLevel row;
    row.config = level.config;
    for (const PlacementCost& cost : costs) {
      const Cluster& cluster =
          platform.clusters[static_cast<std::size_t>(platform.cluster_index(cost.cluster))];
      for (const Opp& opp : cluster.opps) {
        LutEntry entry;
        const double slower = opp.freq_hz > 0 ? cluster.opps.back().freq_hz / opp.freq_hz : 1.0;
        entry.latency_s = cost.levels_s[l] * slower;
        entry.mad_s = cost.relative_mad * entry.latency_s;
        entry.samples = 100;
        row.at[{cluster.name, cost.threads, opp.freq_hz, 1}] = entry;
      }
    }
    model.lut.levels.push_back(std::move(row));
  }
  return model;
}

inline TraceApp make_app(const std::string& name, double target_s, double period_s, double duration_s) {
  TraceApp app;
  app.name = name;
  app.pointer = "/tasks/" + name;
  app.target_s = target_s;
  AppPhase phase;
  phase.duration_s = duration_s;
  phase.arrivals.period_s = period_s;
  app.phases.push_back(phase);
  return app;
}

inline ContenderPhase busy_phase(const std::string& cluster, double start_s, double duration_s, int threads) {
  ContenderPhase phase;
  phase.start_s = start_s;
  phase.duration_s = duration_s;
  phase.cluster.name = cluster;
  phase.threads = threads;
  return phase;
}

inline ContenderPhase periodic_phase(const std::string& cluster, double start_s, double duration_s,
                                     double run_s, double period_s) {
  ContenderPhase phase = busy_phase(cluster, start_s, duration_s, 1);
  phase.run_s = run_s;
  phase.period_s = period_s;
  return phase;
}

inline Trace make_trace(double duration_s, std::vector<TraceApp> apps,
                        std::vector<TraceContender> contenders = {}) {
  Trace trace;
  trace.file = "test.trace.json";
  trace.duration_s = duration_s;
  trace.noise = false;
  trace.apps = std::move(apps);
  trace.contenders = std::move(contenders);
  trace.sha256 = std::string(64, 'b');
  return trace;
}

inline Workload make_workload(Trace trace, Platform platform,
                              const std::vector<std::vector<PlacementCost>>& costs) {
  Workload workload;
  for (const std::vector<PlacementCost>& cost : costs) {
    const AppModel model = make_model(platform, cost);
    workload.costs.emplace_back(model.family, model.lut, platform);
  }
  workload.trace = std::move(trace);
  workload.platform = std::move(platform);
  return workload;
}

// Leaves OPPs to the governor and keeps level and placement 0, unless `choose` says otherwise.
class ScriptedPolicy final : public Policy {
 public:
  using Choose = std::function<void(const SystemView&, std::size_t app, Decision&)>;
  explicit ScriptedPolicy(Choose choose = {}) : choose_(std::move(choose)) {}
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  void observe(const SystemView& /*view*/, const Completion& done) noexcept override {
    completions.push_back(done);
  }
  [[nodiscard]] Decision decide(const SystemView& view, std::size_t app) noexcept override {
    Decision decision;
    decision.opp.fill(kLeaveToGovernor);
    if (choose_) choose_(view, app, decision);
    return decision;
  }
  std::vector<Completion> completions;

 private:
  std::string name_ = "scripted";
  Choose choose_;
};

inline SimOptions with_governor(const std::string& name) {
  SimOptions options;
  options.governors = {name, name};
  return options;
}

// The message of the Error that `f` throws, with its code checked; empty when it throws none.
template <typename F>
std::string error_message(ErrorCode code, F&& f) {
  try {
    f();
  } catch (const Error& error) {
    if (error.code() != code) return fmt::format("(another code) {}", error.message());
    return error.message();
  }
  return {};
}

}  // namespace dsn::test

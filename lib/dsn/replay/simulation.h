// SPDX-License-Identifier: Apache-2.0
// The simulator's inside: what happens at each moment. simulation.cc has the loop and the inferences,
// sim_load.cc contenders, events and heat. Internal to replay: simulator.h is the entry.
#pragma once

#include <deque>
#include <vector>

#include "dsn/replay/arrivals.h"
#include "dsn/replay/sim_cluster.h"
#include "dsn/replay/simulator.h"
#include "dsn/replay/thermal.h"

namespace dsn {

struct Waiting {
  std::int64_t arrival = 0;
  double scheduled_s = 0;
  LatencyDraw draw;
};

struct SimApp {
  SimApp(const TraceApp& trace_app, std::uint64_t seed)
      : app(&trace_app), arrivals(trace_app, seed), noise(noise_stream(seed, trace_app.name)) {}
  const TraceApp* app;
  ArrivalStream arrivals;
  Rng noise;
  std::size_t phase = 0;
  std::deque<Waiting> queue;
  bool running = false;
  Waiting current;
  Completion completion;    // of the inference that runs
  double min_accuracy = 0;  // in force when it started
  AppStats stats;
};

struct SimContender {
  const TraceContender* contender = nullptr;
  std::size_t phase = 0;
  bool active = false;
  std::uint64_t releases = 0;
  double wall_ends_s = 0;  // of runtime_s, while it runs; 0: it does not
};

class Simulation {
 public:
  Simulation(const Workload& workload, Policy& policy, const SimOptions& options);
  [[nodiscard]] SimResult run(const Job& job);

 private:
  static constexpr double kNever = SimCluster::kNever;

  void dispatch(std::size_t timer);
  void publish(std::size_t cluster);
  [[nodiscard]] SystemView view();
  void arrive(std::size_t app);
  void start(std::size_t app, const Waiting& waiting);
  void apply(const Decision& decision);
  void check(const Decision& decision, std::size_t app) const;
  void complete(std::size_t cluster);
  void next_of_queue(std::size_t app);
  void drop(std::size_t app, double scheduled_s);
  void abort_running(std::size_t app);
  [[nodiscard]] SimResult finish(std::int64_t events);

  void trace_event();
  void apply_mode(const ModeEvent& event);
  void set_cap(std::size_t cluster, const std::optional<double>& max_freq_hz);
  void limit(std::size_t cluster);
  void contender_event(std::size_t contender);
  void start_contender(std::size_t contender, const ContenderPhase& phase);
  void stop_contender(std::size_t contender, std::size_t cluster);
  void update_memory();
  void poll_heat();
  void sample();
  [[nodiscard]] double power() const noexcept;

  const Workload& workload_;
  Policy& policy_;
  const SimOptions& options_;
  double duration_s_;
  double now_s_ = 0;
  std::vector<SimCluster> clusters_;
  std::vector<SimApp> apps_;
  std::vector<SimContender> contenders_;
  std::vector<AppView> app_views_;
  std::vector<ClusterView> cluster_views_;
  std::vector<std::size_t> contender_cluster_;  // by contender, of its present phase
  std::size_t event_ = 0;
  double contenders_j_ = 0;
  bool memory_contended_ = false;  // some phase of the trace has a memory_share
  std::vector<int> cap_opp_;       // by power modes and caps
  Heat heat_;
  double sampled_s_ = 0, sampled_j_ = 0;
  // The next moment of everything that happens by itself, in order of precedence; few enough to scan.
  std::vector<double> timers_;
  std::size_t first_switch_ = 0, first_event_ = 0, heat_timer_ = 0, sample_timer_ = 0, first_contender_ = 0,
              first_app_ = 0, first_tick_ = 0;
};

}  // namespace dsn

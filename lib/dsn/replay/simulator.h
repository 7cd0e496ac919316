// SPDX-License-Identifier: Apache-2.0
// The discrete-event simulator: one policy over one workload. No fixed step; time and energy are integrated
// exactly between events, and the same seed gives the same result to the last bit.
//
// What is modelled
//  - Clusters share their cores by generalised processor sharing: n runnable threads on c cores run min(1,
//  c/n) of the time each. A
//    GPU is one core (its contexts are time-sliced). An inference with t threads progresses at the rate of
//    its threads.
//  - Speed: the CostTable's latency at the present OPP; a change of OPP changes the rate of what is left.
//  Contenders: f / fmax.
//  - OPP changes take the cluster's transition latency, one at a time; work goes on at the old OPP meanwhile.
//  - Power: base + per cluster idle at the present OPP + what runs, above idle (CostTable's energy over
//  latency).
//  - Memory: beside contenders with a memory_share the part of an inference that no frequency shortens (B of
//  T(f) = A/f + B through the cluster's slowest and fastest OPP) takes 1 / (1 - share) as long.
//  - Temperature, where the platform has a thermal model: one resistance and capacity, and a step off every
//  cluster's highest OPP for each 0.1 s at or above the trip point (Linux's step_wise). It starts in balance
//  with an idle platform.
// What is not (yet): leakage that grows with temperature, cost of switching levels or of deciding, idle
// states, floors of power modes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/replay/arrivals.h"
#include "dsn/replay/latency_samples.h"
#include "dsn/replay/trace.h"
#include "dsn/runtime/policy.h"

namespace dsn {

// A trace bound to a platform and to the costs of its applications' models. Must outlive simulations of it.
struct Workload {
  Trace trace;
  Platform platform;
  std::vector<CostTable> costs;  // per application of the trace
};

// Throws Error{bad_input}, with the trace's pointer, for a cluster that the platform does not have, a cap on
// a cluster of unknown frequency, or more clusters than a policy can see.
void check_workload(const Workload& workload);

struct GovernorNames {
  std::string cpu = "schedutil";
  std::string gpu = "nvhost_podgov";
};

// One inference that has ended.
struct InferenceRecord {
  int app = 0;
  std::int64_t arrival = 0;  // which of the application's arrivals, from 0
  double scheduled_s = 0, start_s = 0, done_s = 0, target_s = 0;
  int level = 0, placement = 0, opp = 0;  // opp: requested when it started
  double energy_j = 0;                    // above idle
  double min_accuracy = 0;                // in force when it started
  LatencyDraw draw;
  bool met = false;
};

// What a monitor would have drawn of the time since the sample before.
struct SimSample {
  double now_s = 0;
  double power_w = 0;  // mean, of the whole platform
  std::optional<double> temp_c;
  std::span<const int> opps;  // now, by cluster
};

struct SimOptions {
  std::uint64_t seed = 1;
  GovernorNames governors;
  std::function<void(const InferenceRecord&)> on_inference;  // optional
  std::function<void(const SimSample&)> on_sample;           // optional, every sample_s
  double sample_s = 0;
};

struct AppStats {
  std::int64_t arrivals = 0;  // = completed + skipped + unfinished
  std::int64_t completed = 0, skipped = 0, unfinished = 0;
  std::int64_t met = 0;  // completed within the target in force when they started
  std::int64_t missed =
      0;  // completed late, skipped, or unfinished with the target past; the rest is undecided
  std::int64_t infeasible = 0;  // inferences for which the policy said that nothing meets every target
  std::int64_t level_switches = 0, placement_switches = 0;
  std::vector<std::int64_t> level_count, placement_count;  // of completed inferences
  std::int64_t origin_count[3] = {0, 0,
                                  0};  // of completed inferences, by origin of their latency (enum Origin)
  LatencySamples latency;              // of completed inferences, from the scheduled arrival, seconds
  double accuracy_sum = 0;
  double energy_j = 0;  // above idle, unfinished work included
};

struct ClusterStats {
  std::vector<double> opp_s;  // time at each OPP
  std::int64_t opp_switches = 0;
  double busy_core_s = 0;  // cores * time that ran something
  double governed_s = 0;   // time in which the governor, not the policy, chose the OPP
  double idle_j = 0, active_j = 0;
};

struct SimResult {
  double duration_s = 0;
  std::vector<AppStats> apps;
  std::vector<ClusterStats> clusters;
  double base_j = 0;
  double contenders_j = 0;          // above idle
  std::optional<double> highest_c;  // where the platform has a thermal model
  double throttled_s = 0;
  std::int64_t events = 0;

  // base_j + idle_j + active_j of every cluster; meaningful if the platform's power is known.
  [[nodiscard]] double total_j() const noexcept;
};

// Throws Error{failed} when the policy chooses what does not exist, Error{bad_usage} for an unknown governor,
// and what check_workload() throws; Error{interrupted} when `job` wants to stop.
[[nodiscard]] SimResult simulate(const Workload& workload, Policy& policy, const SimOptions& options,
                                 const Job& job = silent_job());

}  // namespace dsn

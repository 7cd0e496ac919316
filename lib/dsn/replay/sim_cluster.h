// SPDX-License-Identifier: Apache-2.0
// One cluster of the simulator: jobs that share its cores, its OPP with transitions, its governor, and the
// exact integrals of time and energy between events. Internal to replay: simulator.h is the entry.
#pragma once

#include <limits>
#include <memory>
#include <vector>

#include "dsn/replay/governor.h"
#include "dsn/replay/simulator.h"
#include "dsn/runtime/policy.h"

namespace dsn {

// Something that runs on a cluster: one inference, or a contender's work.
struct SimJob {
  int task = 0;  // applications first, then contenders; at most one job each
  int threads = 1;
  double remaining = 0;              // inference: fraction of it; contender: seconds at the highest OPP
  const CostTable* costs = nullptr;  // of an inference; nullptr: contender
  int level = 0, placement = 0;
  double noise = 1;     // factor on the latency
  double memory_s = 0;  // part of the latency that waits for memory; add() finds it
  double energy_j = 0;  // above idle, so far
  // At the present OPP and with a core per thread: progress and power.
  double rate = 0, active_w = 0;
};

class SimCluster {
 public:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  SimCluster(const Cluster& cluster, bool power_known, std::unique_ptr<Governor> governor);

  // --- moments at which it wants to be called; kNever: none ---
  [[nodiscard]] double done_at() const noexcept { return done_at_s_; }
  [[nodiscard]] double switch_at() const noexcept { return switch_at_s_; }
  [[nodiscard]] double tick_at() const noexcept { return tick_at_s_; }

  // --- events; now_s never decreases ---
  void advance(double now_s);  // integrates up to now
  void add(double now_s, const SimJob& job);
  [[nodiscard]] SimJob complete(double now_s);  // the job that ends at done_at()
  SimJob remove(double now_s, int task);        // ends it unfinished
  void add_work(double now_s, int task, double seconds);
  [[nodiscard]] bool runs(int task) const noexcept;
  void finish_switch(double now_s);
  void tick(double now_s);
  void pin(double now_s, int opp);  // a policy sets the OPP
  void release(double now_s);       // and leaves it to the governor again
  void set_max_opp(double now_s, int max_opp);
  void set_online(double now_s, int cores);
  // Factor on what waits for memory, 1 or more.
  void set_memory(double now_s, double factor);

  // --- state ---
  [[nodiscard]] const Cluster& cluster() const noexcept { return *cluster_; }
  [[nodiscard]] const Governor& governor() const noexcept { return *governor_; }
  [[nodiscard]] int cores() const noexcept { return cores_; }
  [[nodiscard]] int opp() const noexcept { return opp_; }               // clocked at
  [[nodiscard]] int requested_opp() const noexcept { return wanted_; }  // asked for last
  [[nodiscard]] int max_opp() const noexcept { return max_opp_; }
  [[nodiscard]] int highest_opp() const noexcept { return static_cast<int>(cluster_->opps.size()) - 1; }
  // Without a knob, or with one OPP, there is nothing to set: here as on the device.
  [[nodiscard]] bool settable() const noexcept {
    return !cluster_->knob.empty() && cluster_->opps.size() > 1;
  }
  // Cores that contenders keep busy, as a monitor that is polled now reads it: the mean over the last
  // kLoadWindow or more, below 0 before there is one, and for a GPU, whose counters do not tell whose work it
  // is.
  [[nodiscard]] double poll_others_load(double now_s) noexcept;
  static constexpr double kLoadWindow = 0.25;   // seconds
  [[nodiscard]] double power() const noexcept;  // drawn now, idle included
  [[nodiscard]] double idle_power(int opp) const noexcept;
  [[nodiscard]] double busy_power(int opp) const noexcept;
  [[nodiscard]] const ClusterStats& stats() const noexcept { return stats_; }

 private:
  [[nodiscard]] double share() const noexcept;
  [[nodiscard]] double memory_time(const SimJob& job) const noexcept;
  void set_rate(SimJob& job) const noexcept;
  void replan(double now_s);
  void ask_governor(double now_s, GovernorEvent event);
  void request(double now_s, int opp);
  void clock_changed(double now_s, int opp);
  SimJob take(double now_s, std::size_t index);

  const Cluster* cluster_;
  bool power_known_;
  std::unique_ptr<Governor> governor_;
  int cores_, online_;
  double memory_ = 1;
  int opp_ = 0, wanted_ = 0, in_flight_ = -1, max_opp_ = 0, pinned_ = -1;
  int threads_ = 0;        // runnable
  int other_threads_ = 0;  // of contenders
  double other_core_s_ = 0, polled_s_ = 0, polled_core_s_ = 0, others_load_ = -1;
  std::vector<SimJob> jobs_;
  std::vector<TaskShare> running_;  // the same jobs, as governors see them
  double now_s_ = 0;
  double done_at_s_ = kNever, switch_at_s_ = kNever, tick_at_s_ = kNever;
  std::size_t done_job_ = 0;
  ClusterStats stats_;
};

}  // namespace dsn

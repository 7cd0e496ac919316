// SPDX-License-Identifier: Apache-2.0
// Monitors and knobs of a live run: from executor, cpufreq and /proc to what a policy sees, and from its
// decisions back. Internal to runtime: managed.h is the entry.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "dsn/runtime/affinity.h"
#include "dsn/runtime/managed.h"

namespace dsn {

// thread-bound. Puts frequencies and affinity back when destroyed.
class LiveKnobs {
 public:
  LiveKnobs(const ManagedParts& parts, bool move_frequencies, Job& job);
  ~LiveKnobs();
  LiveKnobs(const LiveKnobs&) = delete;
  LiveKnobs& operator=(const LiveKnobs&) = delete;

  // Refreshes what the policy sees; between inferences.
  void poll(double now_s) noexcept;
  [[nodiscard]] std::span<const ClusterView> clusters() const noexcept { return views_; }

  // Throws Error{failed} if the policy chose what does not exist.
  void apply(const Decision& decision);
  void set_level(int level);
  void set_threads(int threads);
  [[nodiscard]] int level() const noexcept { return level_; }
  [[nodiscard]] int placement() const noexcept { return placement_; }
  // Present OPP of the cluster that runs the application.
  [[nodiscard]] int opp() const noexcept;

 private:
  struct ClusterState {
    bool can_set = false;
    int set = kLeaveToGovernor;  // what we set
    bool lost = false;           // and what something (suspend, a CPU that went offline) undid
  };
  void set_placement(int placement);
  void set_opps(const Decision& decision);
  void release(std::size_t cluster);
  void show_opp(std::size_t cluster, int opp) noexcept;
  [[nodiscard]] int read_opp(std::size_t cluster) const noexcept;
  [[nodiscard]] int nearest_opp(std::size_t cluster, double freq_hz) const noexcept;
  void give_up(std::size_t cluster, const Error& error);

  const ManagedParts& parts_;
  Job& job_;
  std::vector<ClusterView> views_;
  std::vector<ClusterState> state_;
  ProcessAffinity affinity_;
  bool several_cpu_clusters_ = false;
  int level_ = -1, placement_ = -1, threads_ = 0;
  double read_s_ = -1;
};

}  // namespace dsn

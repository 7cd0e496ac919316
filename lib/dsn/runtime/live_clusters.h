// SPDX-License-Identifier: Apache-2.0
// The clusters of a live run: from cpufreq and /proc to what a policy sees, and from its decisions back.
// Internal to runtime: live_manager.h is the entry.
#pragma once

#include <span>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/runtime/live_manager.h"

namespace dsn {

// One thread at a time. Puts frequencies back when destroyed.
class LiveClusters {
 public:
  LiveClusters(const ManagerParts& parts, Job& job);
  ~LiveClusters();
  LiveClusters(const LiveClusters&) = delete;
  LiveClusters& operator=(const LiveClusters&) = delete;

  // Refreshes what the policy sees; between inferences.
  void poll(double now_s) noexcept;
  [[nodiscard]] std::span<const ClusterView> views() const noexcept { return views_; }
  [[nodiscard]] double frequency(std::size_t cluster) const noexcept { return state_[cluster].freq_hz; }
  [[nodiscard]] bool held(std::size_t cluster) const noexcept {
    return state_[cluster].set != kLeaveToGovernor;
  }
  // A frequency that cannot be set is a warning, and its cluster is left alone from then on.
  void set_opps(const Decision& decision);

 private:
  struct ClusterState {
    bool can_set = false;
    int set = kLeaveToGovernor;  // what we set
    bool lost = false;           // and what something (suspend, a CPU that went offline) undid
    double freq_hz = 0;
    bool load_known = false;
  };
  void release(std::size_t cluster);
  void show_opp(std::size_t cluster, int opp) noexcept;
  [[nodiscard]] int read_opp(std::size_t cluster) noexcept;
  [[nodiscard]] int nearest_opp(std::size_t cluster, double freq_hz) const noexcept;
  void give_up(std::size_t cluster, const Error& error);
  void see_load(std::size_t cluster) noexcept;

  const ManagerParts& parts_;
  Job& job_;
  std::vector<ClusterView> views_;
  std::vector<ClusterState> state_;
  double read_s_ = -1;
};

}  // namespace dsn

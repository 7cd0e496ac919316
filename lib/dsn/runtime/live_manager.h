// SPDX-License-Identifier: Apache-2.0
// The one decision maker of a live run: monitors, policy and the clusters' knobs, shared by all applications.
//
// Each application asks it from its own thread when an inference is about to start; decisions are made one
// after another, in the asking thread (a thread of its own would cost two wake-ups per inference, which under
// contention take longer than small networks do). Nobody waits for it for long: who cannot have a decision
// within `kPatience` goes on with the last setting that kept its deadline.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/platform/dvfs.h"
#include "dsn/runtime/clock.h"
#include "dsn/runtime/load_monitor.h"
#include "dsn/runtime/policy.h"
#include "dsn/runtime/run_state.h"

namespace dsn {

class LiveClusters;

// All must outlive the manager.
struct ManagerParts {
  const Platform& platform;  // that the costs of all applications were made for
  Policy& policy;
  FrequencyControl* frequencies = nullptr;  // none: frequencies are not touched
  LoadMonitor* load = nullptr;
  Clock& clock = monotonic_clock();
  bool move_frequencies = true;  // false: FrequencyControl is only read
  RunBoard* board = nullptr;     // where the run's state is published
};

// CPUs of one cluster: `count` of Cluster::cpus from `first` on.
struct CpuSlice {
  int cluster = -1, first = 0, count = 0;
  friend bool operator==(const CpuSlice&, const CpuSlice&) = default;
};

// What an application's next inference runs with.
struct Grant {
  AppChoice choice;
  int opp = 0;  // present one of the placement's cluster
  CpuSlice cpus;
  double decision_s = 0;  // what deciding took
  bool feasible = true;
  bool made = true;  // Decision::made
};

// What came of an arrival, for those who watch.
struct ArrivalOutcome {
  bool met = false, aborted = false;
  std::optional<bool> correct;
};

// Puts frequencies that it set back when destroyed.
class LiveManager {
 public:
  static constexpr double kPatience = 2e-3;

  LiveManager(const ManagerParts& parts, Job& job);
  ~LiveManager();
  LiveManager(const LiveManager&) = delete;
  LiveManager& operator=(const LiveManager&) = delete;

  // Before the run begins, from one thread. Returns the application's index. Throws what policy.check() does,
  // Error{bad_usage} for more applications than a policy can hold. `costs` must outlive the manager.
  std::size_t add(std::string name, const CostTable& costs);
  // Makes this moment time 0.
  void start() noexcept;

  [[nodiscard]] double now_s() const noexcept { return parts_.clock.now_s() - start_s_; }
  // Returns then or, interrupted by a signal, before.
  void sleep_until(double time_s) noexcept { parts_.clock.sleep_until(start_s_ + time_s); }
  [[nodiscard]] const Platform& platform() const noexcept { return parts_.platform; }
  [[nodiscard]] const Policy& policy() const noexcept { return parts_.policy; }

  // thread-safe from here on.

  // Refreshes what the policy sees, unless somebody is deciding.
  void poll() noexcept;
  // mine: the application's state now; level and placement in it are kept here. Nothing when the manager is
  // stuck. What the policy chose may not exist: the caller checks.
  [[nodiscard]] std::optional<Grant> decide(std::size_t app, const AppView& mine);
  // Tells the policy, and publishes. Returns the policy's estimate of the slowdown; nothing when the manager
  // is stuck. patient: false when it was before.
  std::optional<double> observe(const AppView& mine, const Completion& done, const ArrivalOutcome& outcome,
                                bool patient) noexcept;
  // An application comes, pauses or goes.
  void set_active(std::size_t app, const AppView& mine, bool active, bool paused = false,
                  bool failed = false) noexcept;
  // The run is over.
  void end() noexcept;
  // Cores that cannot be given apart: applications share them from now on.
  void share_always() noexcept { share_always_.store(true, std::memory_order_relaxed); }

 private:
  void take_up(std::size_t app, const AppView& mine) noexcept;
  [[nodiscard]] SystemView view(double now_s) const noexcept;
  [[nodiscard]] bool exists(std::size_t app, const AppChoice& choice) const noexcept;
  [[nodiscard]] CpuSlice slice_for(std::size_t app, double now_s) noexcept;
  [[nodiscard]] bool shared(std::size_t cluster, double now_s) noexcept;
  void publish(double now_s) noexcept;

  ManagerParts parts_;
  Job& job_;
  std::mutex mutex_;
  std::unique_ptr<LiveClusters> clusters_;
  std::vector<std::string> names_;
  std::array<AppView, kMaxApps> apps_{};
  std::array<bool, kMaxApps> decided_{};  // once
  std::array<double, kMaxClusters> shared_until_s_{};
  RunState state_;
  std::atomic<bool> share_always_{false};
  std::atomic<std::int64_t> undecided_{0};
  double start_s_ = 0;
};

}  // namespace dsn

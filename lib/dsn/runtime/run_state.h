// SPDX-License-Identifier: Apache-2.0
// What a live run is doing right now, for those who watch it from other threads: a terminal view, a metrics
// endpoint, a watchdog. The run publishes after every inference; whoever reads never holds it up.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "dsn/runtime/policy.h"

namespace dsn {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// Upper bounds of AppState::latency_counts, seconds; the last bucket has none.
inline constexpr std::array<double, 14> kLatencyBounds = {50e-6, 100e-6, 200e-6, 500e-6, 1e-3,   2e-3,   5e-3,
                                                          10e-3, 20e-3,  50e-3,  100e-3, 200e-3, 500e-3, 1.0};

// One application. What the family or the platform says of an index is in RunDescription.
struct AppState {
  bool active = false;  // has arrivals: it has started, is not paused, and its input has not ended
  bool paused = false;
  bool failed = false;                    // its model or input failed; the others go on
  int level = 0, placement = 0, opp = 0;  // of the last inference
  double target_s = 0, min_accuracy = 0, period_s = 0;
  int priority = 0;
  double slowdown = 1;               // the policy's estimate
  double latency_s = 0;              // of the last inference, from its scheduled arrival
  bool met = true, feasible = true;  // of the last inference
  std::int64_t completed = 0, skipped = 0, aborted = 0, met_count = 0, switches = 0;
  std::int64_t labelled = 0, correct = 0;
  double latency_sum_s = 0;                                              // of the completed ones
  std::array<std::int64_t, kLatencyBounds.size() + 1> latency_counts{};  // not cumulative
  [[nodiscard]] std::int64_t arrivals() const noexcept { return completed + skipped + aborted; }
};

struct ClusterState {
  int opp = 0;
  bool held = false;        // dsn set this OPP; otherwise its governor did
  double freq_hz = 0;       // 0 when it cannot be read
  double others_load = -1;  // as ClusterView::others_load
  double temp_c = kUnknown, power_w = kUnknown;
};

// Trivially copyable; times are seconds since the run began.
struct RunState {
  double now_s = 0;  // when this was published; below 0 before the run begins
  std::array<AppState, kMaxApps> apps{};
  std::array<ClusterState, kMaxClusters> clusters{};
  double power_w = kUnknown;                                  // of the whole platform
  std::int64_t decisions = 0, infeasible = 0, undecided = 0;  // undecided: inferences that went on without
  double decision_s = 0, longest_decision_s = 0;
  bool ended = false;
};

// What does not change during a run.
struct RunDescription {
  struct App {
    std::string name;
    std::vector<double> accuracy;         // by level
    std::vector<std::string> placements;  // "cpu, 2 threads"
  };
  struct ClusterOf {
    std::string name;
    std::vector<double> freq_hz;  // by OPP; 0: unknown
  };
  std::string policy;
  std::vector<App> apps;
  std::vector<ClusterOf> clusters;
};

// Where a run publishes. One run at a time; readers on any thread. read() and publish() neither lock nor
// allocate (a sequence lock over atomic words): a reader that is stopped in between holds up nobody.
class RunBoard {
 public:
  // By the run.
  void begin(RunDescription description);
  void publish(const RunState& state) noexcept;  // one thread at a time
  // A decision begins (run time, >= 0) or has ended (below 0): what a watchdog watches.
  void deciding(double since_s) noexcept { deciding_since_s_.store(since_s, std::memory_order_relaxed); }

  // By watchers. thread-safe. nullptr before a run has begun.
  [[nodiscard]] std::shared_ptr<const RunDescription> description() const;
  [[nodiscard]] RunState read() const noexcept;
  [[nodiscard]] double deciding_since_s() const noexcept {
    return deciding_since_s_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kWords =
      (sizeof(RunState) + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t);
  mutable std::mutex mutex_;  // of description_
  std::shared_ptr<const RunDescription> description_;
  std::atomic<std::uint64_t> sequence_{0};  // odd while it is written
  std::array<std::atomic<std::uint64_t>, kWords> words_{};
  std::atomic<double> deciding_since_s_{-1};
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// One application's inferences under a policy: monitors, decision, knobs, preprocessing and the network, once
// per frame. `dsn run` (live.h) brings arrivals to it, a program of yours its own frames
// (deploy/application.h).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/data/dataset.h"
#include "dsn/data/preprocess.h"
#include "dsn/engine/executor.h"
#include "dsn/platform/dvfs.h"
#include "dsn/platform/platform.h"
#include "dsn/runtime/clock.h"
#include "dsn/runtime/feasibility.h"
#include "dsn/runtime/load_monitor.h"
#include "dsn/runtime/policy.h"
#include "dsn/runtime/run_summary.h"

namespace dsn {

class LiveKnobs;

// What an application runs on. All must outlive who uses them. The executor is prepared with the family's
// levels, in order.
struct ManagedParts {
  Executor& executor;
  const Preprocessing& preprocessing;
  const CostTable& costs;
  const Platform& platform;  // that the costs were made for
  Policy& policy;
  FrequencyControl* frequencies = nullptr;  // none: frequencies are not touched
  LoadMonitor* load = nullptr;
  Clock& clock = monotonic_clock();
};

// thread-bound. Puts frequencies that it set, and the process's affinity, back when destroyed. A frequency
// that cannot be set is a warning, and its cluster is left alone from then on.
class ManagedInference {
 public:
  // move_frequencies: false only reads them. Throws Error{mismatch} when preprocessing does not fit the
  // network, and what executor and policy.check() throw.
  ManagedInference(const ManagedParts& parts, const Goal& goal, bool move_frequencies, Job& job);
  ~ManagedInference();
  ManagedInference(const ManagedInference&) = delete;
  ManagedInference& operator=(const ManagedInference&) = delete;

  // First inferences of a level touch its weights and fill pools, thread counts start threads: `inferences`
  // of each level with each thread count, on a blank image. Ends early when the job wants to stop.
  void warm_up(int inferences);

  // Makes this moment time 0 of records and of now_s().
  void start() noexcept;
  [[nodiscard]] double now_s() const noexcept;
  // Returns then or, interrupted by a signal, before.
  void sleep_until(double time_s) noexcept;

  // The goal from the next frame on.
  void set_goal(const Goal& goal);
  [[nodiscard]] const Goal& goal() const noexcept { return goal_; }

  // Refreshes what the policy sees; between inferences.
  void poll() noexcept;

  // Decides, switches and infers. record: index, scheduled_s, target_s and label are the caller's, the rest
  // is filled in. Returns the latency undisturbed, from the look-up table, seconds. Throws what preprocessing
  // and executor throw.
  double infer(const Image& image, LiveRecord& record);

  // An arrival that will not run, told to the policy as a missed deadline.
  void skip(LiveRecord& record);

  // Of the last inference, float32 [classes].
  [[nodiscard]] std::span<const float> logits() const noexcept;
  [[nodiscard]] int level() const noexcept;

 private:
  struct LevelShape {
    std::size_t input = 0, classes = 0;
    int resolution = 0;
  };
  void read_shapes();
  void run_network();
  [[nodiscard]] SystemView view(double now_s) const noexcept;

  ManagedParts parts_;
  Goal goal_;
  Job& job_;
  std::unique_ptr<LiveKnobs> knobs_;
  AppView app_;
  std::vector<LevelShape> shapes_;
  std::vector<float> input_, logits_;
  std::vector<double> prepare_s_;  // expected time to preprocess, by level; 0: not known yet
  double start_s_ = 0;
};

}  // namespace dsn

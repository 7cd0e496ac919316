// SPDX-License-Identifier: Apache-2.0
// One application's inferences under a manager: decision, level, threads and cores, preprocessing and the
// network, once per frame. `dsn run` (live.h) brings arrivals to it, a program of yours its own frames
// (deploy/application.h).
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/data/dataset.h"
#include "dsn/data/preprocess.h"
#include "dsn/engine/executor.h"
#include "dsn/runtime/affinity.h"
#include "dsn/runtime/feasibility.h"
#include "dsn/runtime/live_manager.h"
#include "dsn/runtime/run_summary.h"

namespace dsn {

// What an application runs on. All must outlive who uses them. The executor is prepared with the family's
// levels, in order, and is this application's alone; executors of the same weights share them.
struct AppParts {
  Executor& executor;
  const Preprocessing& preprocessing;
  const CostTable& costs;
};

// thread-bound once warm_up() has begun; made before, with all of a run's in one thread. Puts the affinity of
// the threads it moved back when destroyed.
class ManagedInference {
 public:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  // threads_named: the name that the thread which will call, and so those that it makes, have; they are what
  // is moved between CPUs. Empty: all of the process. Throws Error{mismatch} when preprocessing does not fit
  // the network, and what executor and LiveManager::add() throw.
  ManagedInference(std::string name, const AppParts& parts, LiveManager& manager, const Goal& goal,
                   Job& job = silent_job(), std::string threads_named = {});
  ManagedInference(const ManagedInference&) = delete;
  ManagedInference& operator=(const ManagedInference&) = delete;

  // First inferences of a level touch its weights and fill pools, thread counts start threads: `inferences`
  // of each level with each thread count, on a blank image. Ends early when the job wants to stop.
  void warm_up(int inferences);

  // The goal from the next frame on.
  void set_goal(const Goal& goal);
  [[nodiscard]] const Goal& goal() const noexcept { return goal_; }

  // Comes, pauses or goes: the manager counts on the application from now on, or no more.
  void set_active(bool active, bool paused = false, bool failed = false) noexcept;

  // Decides, switches and infers. record: index, scheduled_s, target_s and label are the caller's, the rest
  // is filled in. abort_s: an inference that is still running then is given up between two blocks
  // (record.aborted). Returns the latency undisturbed, from the look-up table, seconds. Throws what
  // preprocessing and executor throw.
  double infer(const Image& image, LiveRecord& record, double abort_s = kNever);

  // An arrival that will not run, told to the policy as a missed deadline.
  void skip(LiveRecord& record);

  // Of the last inference, float32 [classes].
  [[nodiscard]] std::span<const float> logits() const noexcept;
  [[nodiscard]] int level() const noexcept { return level_; }

 private:
  struct LevelShape {
    std::size_t input = 0, classes = 0;
    int resolution = 0;
  };
  void read_shapes();
  void run_network(double abort_s);
  [[nodiscard]] Grant ask(double before_s, LiveRecord& record);
  void apply(const Grant& grant);
  void set_level(int level);
  void set_threads(int threads);
  void set_cpus(const CpuSlice& cpus);

  std::string name_;
  AppParts parts_;
  LiveManager& manager_;
  Job& job_;
  Goal goal_;
  AppView view_;
  std::size_t app_;
  ProcessAffinity affinity_;
  bool several_cpu_clusters_ = false;
  int level_ = -1, placement_ = -1, threads_ = 0;
  CpuSlice cpus_;
  Grant safe_;          // the last that kept its deadline
  bool stuck_ = false;  // the manager did not answer last time
  std::vector<LevelShape> shapes_;
  std::vector<float> input_, logits_;
  std::vector<double> prepare_s_;  // expected time to preprocess, by level; 0: not known yet
};

}  // namespace dsn

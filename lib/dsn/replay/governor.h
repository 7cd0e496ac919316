// SPDX-License-Identifier: Apache-2.0
// Models of the governors that move a cluster's OPP when no policy does: cpufreq's performance, powersave and
// schedutil, and NVIDIA's nvhost_podgov for GPUs; those that sample are in sampling_governors.h. Facts from
// the kernel: Documentation/scheduler/schedutil.rst, kernel/sched/pelt.c, kernel/sched/cpufreq_schedutil.c,
// util_est in kernel/sched/fair.c; drivers/devfreq/governor_pod_scaling.c (NVIDIA L4T).
//
// Event driven: between events nothing changes but the averages, which are exact exponentials.
#pragma once

#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/platform/platform.h"

namespace dsn {

// A task that is runnable on a cluster.
struct TaskShare {
  int task = 0;     // index of the task in the simulation
  int threads = 1;  // of equal weight
};

enum class GovernorEvent { wake, sleep, tick, limits };

// One per cluster. thread-compatible.
class Governor {
 public:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  virtual ~Governor() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  // OPP of a system that has been idle for long, before the first task.
  [[nodiscard]] virtual int initial_opp(int max_opp) const noexcept = 0;
  // Takes the cluster (back) at `now_s`, with its OPP at `opp`.
  virtual void start(double /*now_s*/, int /*opp*/) noexcept {}
  // Accounts for the time up to `now_s`, during which exactly `running` shared the cluster's cores at OPP
  // `opp`.
  virtual void advance(double /*now_s*/, int /*opp*/, std::span<const TaskShare> /*running*/) noexcept {}
  // A task becomes runnable, or stops being so; after advance() to that moment, before evaluate().
  virtual void wake(const TaskShare& /*task*/) noexcept {}
  virtual void sleep(const TaskShare& /*task*/) noexcept {}
  // The OPP it asks for now, 0..max_opp. After advance() to `now_s`. `running`: runnable from now on.
  [[nodiscard]] virtual int evaluate(double now_s, GovernorEvent event, int max_opp,
                                     std::span<const TaskShare> running) noexcept = 0;
  // The next moment after `now_s` at which it wants evaluate(tick) if no event comes before; kNever: none.
  [[nodiscard]] virtual double next_tick(double /*now_s*/, bool /*busy*/) const noexcept { return kNever; }
};

// Of CPU clusters, or of GPUs (devfreq). userspace=FREQ: "userspace=1.2GHz".
[[nodiscard]] std::vector<std::string> governor_names(ClusterKind kind);

// Throws Error{bad_usage} for an unknown name. `tasks`: how many tasks the simulation has.
[[nodiscard]] std::unique_ptr<Governor> make_governor(std::string_view name, const Cluster& cluster,
                                                      std::size_t tasks);

// Cores that tasks share: CPUs of a CPU cluster, 1 for a GPU (its contexts are time-sliced).
[[nodiscard]] int core_count(const Cluster& cluster) noexcept;

// Lowest OPP in 0..max_opp whose frequency is at least `freq_hz`; max_opp if none is (CPUFREQ_RELATION_L
// within the limits).
[[nodiscard]] int opp_at_least(const Cluster& cluster, double freq_hz, int max_opp) noexcept;

// A geometric average of running time with the kernel's half-life: 32 periods of 1024 us
// (kernel/sched/pelt.c), in 0..1.
struct Pelt {
  static constexpr double kHalfLife = 32 * 1024e-6;  // seconds
  double util = 0;
  // What is left of the past after `dt_s`; `clock`: speed of PELT's clock, f/fmax while the CPU runs, 1 while
  // it idles.
  [[nodiscard]] static double kept(double dt_s, double clock) noexcept;
  // `share`: fraction of that time in which the task ran.
  void advance(double share, double kept) noexcept { util = share + (util - share) * kept; }
};

// schedutil over one frequency domain.
//
// Tasks are not bound to CPUs: with n threads on c cores each runs min(1, c/n) of the time, and the busiest
// CPU (the one that schedutil asks for) carries the larger of the largest task and the mean over the cores.
// Clusters count as full capacity (1024). Left out because no task here has them: real-time and deadline
// classes, interrupts, uclamp, I/O-wait boost.
class Schedutil final : public Governor {
 public:
  Schedutil(const Cluster& cluster, std::size_t tasks);
  [[nodiscard]] std::string_view name() const noexcept override { return "schedutil"; }
  [[nodiscard]] int initial_opp(int /*max_opp*/) const noexcept override { return 0; }
  void start(double now_s, int opp) noexcept override;
  void advance(double now_s, int opp, std::span<const TaskShare> running) noexcept override;
  void wake(const TaskShare& task) noexcept override;
  void sleep(const TaskShare& task) noexcept override;
  [[nodiscard]] int evaluate(double now_s, GovernorEvent event, int max_opp,
                             std::span<const TaskShare> running) noexcept override;
  [[nodiscard]] double next_tick(double now_s, bool busy) const noexcept override;

  // Utilisation of the busiest CPU, 0..1: the larger of PELT's average and util_est.
  [[nodiscard]] double utilisation(std::span<const TaskShare> running) const noexcept;
  [[nodiscard]] double task_util(int task) const noexcept {
    return tasks_[static_cast<std::size_t>(task)].pelt.util;
  }
  [[nodiscard]] double task_estimate(int task) const noexcept {
    return tasks_[static_cast<std::size_t>(task)].estimate;
  }
  [[nodiscard]] double rate_limit() const noexcept { return rate_limit_s_; }

  static constexpr double kTick = 4e-3;            // CONFIG_HZ=250
  static constexpr double kHeadroom = 1.25;        // map_util_perf(): util + util/4
  static constexpr double kEstimateWeight = 0.25;  // UTIL_EST_WEIGHT_SHIFT 2
  static constexpr double kEstimateMargin = 0.01;  // decreases of the estimate below 1 % are skipped

 private:
  struct Entity {
    Pelt pelt;
    double estimate = 0;  // util_est: last peak, decaying
    int threads = 1;
    bool seen = false;
  };
  const Cluster* cluster_;
  int cores_;
  double rate_limit_s_;
  double max_freq_hz_;
  std::vector<Entity> tasks_;
  double now_s_ = 0;
  double changed_s_ = -kNever;
  int next_opp_ = 0;
  bool idled_ = true;  // since the last update
};

// nvhost_podgov: power on demand, by the GPU's load. Every update adds to the clock in proportion to the load
// error, at most a third of the maximum per 50 ms, smoothed and damped. The driver updates when work is
// submitted and when the GPU goes idle; kernels of one inference are submitted all along it, which is
// modelled as an update every 10 ms while busy (the same period as the governor's own timer while idle).
class Podgov final : public Governor {
 public:
  explicit Podgov(const Cluster& cluster);
  [[nodiscard]] std::string_view name() const noexcept override { return "nvhost_podgov"; }
  [[nodiscard]] int initial_opp(int /*max_opp*/) const noexcept override { return 0; }
  void start(double now_s, int opp) noexcept override;
  void advance(double now_s, int opp, std::span<const TaskShare> running) noexcept override;
  [[nodiscard]] int evaluate(double now_s, GovernorEvent event, int max_opp,
                             std::span<const TaskShare> running) noexcept override;
  [[nodiscard]] double next_tick(double now_s, bool busy) const noexcept override;

  [[nodiscard]] double average_load() const noexcept { return 1.0 - idle_average_; }

  static constexpr double kLoadMax = 0.9;  // above: a third of the maximum at once, undamped
  static constexpr double kLoadTarget = 0.7;
  static constexpr double kBias = 0.8;
  static constexpr double kSmooth = 10;  // averages keep smooth/(smooth+1) of the past
  static constexpr double kDamp = 0.7;
  static constexpr double kBlockWindow = 50e-3;  // no change sooner after a change
  static constexpr double kTick = 10e-3;         // slowdown_delay

 private:
  const Cluster* cluster_;
  double now_s_ = 0, sampled_s_ = 0, busy_s_ = 0;  // busy_s_: since the last sample
  double idle_average_ = 0;                        // starts at 0, a busy GPU, as the driver does
  double freq_average_hz_ = 0;
  double scaled_s_ = 0;
  int opp_ = 0;  // asked for last
};

}  // namespace dsn

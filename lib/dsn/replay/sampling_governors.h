// SPDX-License-Identifier: Apache-2.0
// Governors that sample load: cpufreq's ondemand and conservative, devfreq's simple_ondemand; and userspace,
// which does as it was told. Facts from the kernel:
// drivers/cpufreq/cpufreq_{governor,ondemand,conservative}.c, cpufreq_userspace.c,
// drivers/devfreq/governor_simpleondemand.c. Internal to replay: make_governor() makes them.
#pragma once

#include "dsn/replay/governor.h"

namespace dsn {

// What ondemand and conservative share. They sample from the scheduler's hook: on a wake-up or tick, no
// sooner than a sampling period after the last sample, and not at all while idle, where the OPP stays. Load
// is that of the busiest CPU, which here is busy whenever anything runs.
class LoadSampler {
 public:
  // Default sampling period: two ticks, or what a transition needs if that is more.
  explicit LoadSampler(const Cluster& cluster) noexcept;
  void start(double now_s) noexcept;
  void advance(double now_s, bool busy) noexcept;
  // Takes a sample when one is due; false: not yet.
  [[nodiscard]] bool sample(double now_s) noexcept;
  [[nodiscard]] int load() const noexcept {
    return load_;
  }  // of the last sample, whole percent as in the kernel
  // Sampling periods that the last sample's idle time spans, where it was long (more than two); else 0.
  [[nodiscard]] int idle_periods() const noexcept { return idle_periods_; }
  [[nodiscard]] double next_tick(double now_s, bool busy) const noexcept;
  [[nodiscard]] double period() const noexcept { return period_s_; }

 private:
  double period_s_;
  double now_s_ = 0, sampled_s_ = 0, busy_s_ = 0;
  int load_ = 0, previous_load_ = 0, idle_periods_ = 0;
};

// Above the threshold the highest OPP at once, below it a frequency linear in load between the cluster's
// lowest and highest.
class Ondemand final : public Governor {
 public:
  explicit Ondemand(const Cluster& cluster) : cluster_(&cluster), sampler_(cluster) {}
  [[nodiscard]] std::string_view name() const noexcept override { return "ondemand"; }
  [[nodiscard]] int initial_opp(int /*max_opp*/) const noexcept override { return 0; }
  void start(double now_s, int opp) noexcept override;
  void advance(double now_s, int opp, std::span<const TaskShare> running) noexcept override;
  [[nodiscard]] int evaluate(double now_s, GovernorEvent event, int max_opp,
                             std::span<const TaskShare> running) noexcept override;
  [[nodiscard]] double next_tick(double now_s, bool busy) const noexcept override {
    return sampler_.next_tick(now_s, busy);
  }
  static constexpr int kUpThreshold = 95;  // MICRO_FREQUENCY_UP_THRESHOLD: with a tickless kernel

 private:
  const Cluster* cluster_;
  LoadSampler sampler_;
  int opp_ = 0;
};

// One step of 5 % of the highest allowed frequency up or down at a time.
class Conservative final : public Governor {
 public:
  explicit Conservative(const Cluster& cluster) : cluster_(&cluster), sampler_(cluster) {}
  [[nodiscard]] std::string_view name() const noexcept override { return "conservative"; }
  [[nodiscard]] int initial_opp(int /*max_opp*/) const noexcept override { return 0; }
  void start(double now_s, int opp) noexcept override;
  void advance(double now_s, int opp, std::span<const TaskShare> running) noexcept override;
  [[nodiscard]] int evaluate(double now_s, GovernorEvent event, int max_opp,
                             std::span<const TaskShare> running) noexcept override;
  [[nodiscard]] double next_tick(double now_s, bool busy) const noexcept override {
    return sampler_.next_tick(now_s, busy);
  }
  [[nodiscard]] double requested_hz() const noexcept { return requested_hz_; }
  static constexpr int kUpThreshold = 80, kDownThreshold = 20;
  static constexpr double kStep = 0.05;

 private:
  const Cluster* cluster_;
  LoadSampler sampler_;
  double requested_hz_ = 0;
  int opp_ = 0;
};

// The speed that was set, or the next higher OPP, within the limits; remembered while a limit is lower.
class Userspace final : public Governor {
 public:
  Userspace(const Cluster& cluster, double freq_hz) : cluster_(&cluster), freq_hz_(freq_hz) {}
  [[nodiscard]] std::string_view name() const noexcept override { return "userspace"; }
  [[nodiscard]] int initial_opp(int max_opp) const noexcept override {
    return opp_at_least(*cluster_, freq_hz_, max_opp);
  }
  [[nodiscard]] int evaluate(double /*now_s*/, GovernorEvent /*event*/, int max_opp,
                             std::span<const TaskShare> /*running*/) noexcept override {
    return initial_opp(max_opp);
  }

 private:
  const Cluster* cluster_;
  double freq_hz_;
};

// devfreq: by the share of the last polling interval in which the device was busy. Above 90 % the highest
// OPP, above 85 % as it is, else the frequency at which the same work would have kept it busy for 88 %.
class SimpleOndemand final : public Governor {
 public:
  explicit SimpleOndemand(const Cluster& cluster) : cluster_(&cluster) {}
  [[nodiscard]] std::string_view name() const noexcept override { return "simple_ondemand"; }
  [[nodiscard]] int initial_opp(int /*max_opp*/) const noexcept override { return 0; }
  void start(double now_s, int opp) noexcept override;
  void advance(double now_s, int opp, std::span<const TaskShare> running) noexcept override;
  [[nodiscard]] int evaluate(double now_s, GovernorEvent event, int max_opp,
                             std::span<const TaskShare> running) noexcept override;
  [[nodiscard]] double next_tick(double now_s, bool busy) const noexcept override;
  static constexpr double kPolling = 50e-3;  // polling_ms that drivers of GPUs commonly set
  static constexpr double kUpThreshold = 90, kDownDifferential = 5;

 private:
  const Cluster* cluster_;
  double now_s_ = 0, polled_s_ = 0, busy_s_ = 0;
  int opp_ = 0;
};

}  // namespace dsn

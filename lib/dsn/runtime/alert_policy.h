// SPDX-License-Identifier: Apache-2.0
// The policies "alert" and "alert:min-energy": ALERT's scheduler (Wan et al., "ALERT: Accurate Learning for
// Energy and Timeliness", USENIX ATC 2020, https://arxiv.org/abs/1911.00119), to compare with.
//
// Faithful: one slowdown factor xi for all levels, placements and OPPs of an application, followed by the
// paper's Kalman filter; a normal distribution of latencies; the deadline less what was already waited; joint
// choice by exhaustive search. "alert": highest expected accuracy, of what keeps the deadline with the
// application's probability and its energy budget. "alert:min-energy": least expected energy, of what keeps
// the deadline and whose expected accuracy is no lower than the floor. Where not all can be kept: latency,
// then accuracy, then energy. Expected accuracy counts a late answer as kFailed.
//
// Left out: anytime networks (levels here give one answer); the second filter, of idle power, which is taken
// from the platform instead; the scheduler's own time, which is microseconds. Added where the paper has one
// application: each decides for itself, and the last to decide sets its cluster's OPP. The paper caps power;
// here OPPs are chosen. Without powers, OPPs are left to governors and core-seconds stand in for energy.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "dsn/runtime/policy.h"

namespace dsn {

// The paper's filter. No allocation; every member is noexcept. thread-compatible.
class AlertFilter {
 public:
  // Constants of the paper; those of forgetting, floor and first gain are also a public re-implementation's.
  static constexpr double kForgetting = 0.3, kLeastProcessNoise = 0.1, kMeasurementNoise = 0.001;
  void observe(double measured_s, double nominal_s) noexcept;
  [[nodiscard]] double mean() const noexcept { return mean_; }
  [[nodiscard]] double sigma() const noexcept;
  // P(latency <= limit) for work of `nominal_s`.
  [[nodiscard]] double on_time(double nominal_s, double limit_s) const noexcept;

 private:
  double mean_ = 1, variance_ = 0.1, gain_ = 0.5, process_noise_ = kLeastProcessNoise;
};

// observe(), decide() and slowdown() are noexcept and allocate nothing. thread-bound.
class AlertPolicy final : public Policy {
 public:
  static constexpr double kFailed = 0;  // accuracy of no answer in time
  explicit AlertPolicy(bool min_energy);
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  void observe(const SystemView& view, const Completion& done) noexcept override;
  [[nodiscard]] Decision decide(const SystemView& view, std::size_t app) noexcept override;
  [[nodiscard]] double slowdown(std::size_t app) const noexcept override;

 private:
  struct Option {
    AppChoice choice;
    int opp = 0;
    double on_time = 0, accuracy = 0, energy_j = 0;
    int kept = 0;  // of latency, accuracy and energy, in this order: those before the first that is not
  };
  [[nodiscard]] Option weigh(const SystemView& view, std::size_t app, const AppChoice& choice,
                             int opp) const noexcept;
  [[nodiscard]] bool better(const Option& a, const Option& b) const noexcept;

  std::string name_;
  bool min_energy_;
  std::array<AlertFilter, kMaxApps> filters_{};
  std::array<int, kMaxClusters> opp_{};
};

}  // namespace dsn

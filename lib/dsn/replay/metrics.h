// SPDX-License-Identifier: Apache-2.0
// The figures of a replay under flat names, over seeds: what a report compares and a gate (`fail_if.h`) asks
// for.
//
// Of the platform: energy_j, active_j (above idle), idle_j (clusters, at the OPPs they had), static_j (what
// no cluster accounts for), power_w, energy_per_inference_j (the whole platform's), opp_switches, and where
// the oracle was replayed gap_to_oracle and gap_at_accuracy (oracle.h). Of an application, as APP.NAME:
// deadline_miss, deadline_met, accuracy, latency_{mean,p50,p95,p99,max}_s, active_per_inference_j (its own,
// above idle), level_switches, arrivals, completed, skipped, infeasible. Without APP: counts are summed, and
// of the rest the worst application's is meant (the lowest deadline_met and accuracy, the highest of the
// others).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/json.h"

namespace dsn {

// A figure of one run; without a value there is a reason.
struct Figure {
  std::optional<double> value;
  std::string reason;
};
using Figures = std::map<std::string, Figure>;

// Names without APP, in the order above.
[[nodiscard]] std::vector<std::string> figure_names();
// The figures of an application have these names.
[[nodiscard]] bool is_app_figure(const std::string& name);

// Figures of one entry of a report's "policies".
[[nodiscard]] Figures figures_of(const Json& policy);

// Mean over seeds with its 95 % confidence interval (Student's t), smallest and largest: one object per name,
// mean null with a reason where a seed has none, the interval null with one seed.
[[nodiscard]] Json over_seeds(const std::vector<Figures>& seeds);

// Two-sided 95 % quantile of Student's t distribution; degrees >= 1. Within 0.1 %.
[[nodiscard]] double student_t95(int degrees) noexcept;

}  // namespace dsn

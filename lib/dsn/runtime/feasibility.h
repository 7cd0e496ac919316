// SPDX-License-Identifier: Apache-2.0
// Before anything runs: can the target be met at all, on an undisturbed machine?
#pragma once

#include "dsn/runtime/policy.h"

namespace dsn {

// What is asked of one application. It may change between inferences.
struct Goal {
  double target_s = 0;  // latency, from a frame's arrival to its result
  double min_accuracy = 0;
  double period_s =
      0;  // between arrivals, an inference must also fit into it; 0: unknown, or one after another
  double probability = 0.99;   // share of inferences that shall meet the target
  double energy_budget_j = 0;  // of one inference, above idle; 0: none
  int priority = 0;            // AppView's
};

// Throws Error{bad_usage} naming the value that makes no sense.
void check_goal(const Goal& goal);

// A level at its fastest.
struct Nearest {
  int level = 0, placement = 0, opp = 0;
  double latency_s = 0;
};

// The cheapest placement, in core-seconds, at which `level` keeps `limit_s` at the highest OPP; else the
// fastest one.
[[nodiscard]] int cheapest_placement(const CostTable& costs, int level, double limit_s) noexcept;

// The fastest of the levels that are accurate enough (the most accurate level if none is).
[[nodiscard]] Nearest nearest_level(const CostTable& costs, const Goal& goal) noexcept;

// Throws Error{infeasible}, naming the nearest level and its latency, if no level meets the goal even
// undisturbed.
void require_feasible(const CostTable& costs, const Goal& goal);

}  // namespace dsn

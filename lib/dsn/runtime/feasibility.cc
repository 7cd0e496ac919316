// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/feasibility.h"

#include <fmt/format.h>

#include <limits>
#include <string>

#include "dsn/core/error.h"
#include "dsn/core/units.h"

namespace dsn {
namespace {

Nearest fastest_setting(const CostTable& costs, int level) noexcept {
  Nearest best{level, 0, 0, std::numeric_limits<double>::infinity()};
  for (int placement = 0; placement < static_cast<int>(costs.placements().size()); ++placement) {
    const int opp = costs.opps(placement) - 1;
    const double latency_s = costs.latency(level, placement, opp);
    if (latency_s < best.latency_s) best = {level, placement, opp, latency_s};
  }
  return best;
}

int most_accurate(const CostTable& costs) noexcept {
  int best = 0;
  for (int level = 1; level < costs.levels(); ++level)
    if (costs.accuracy(level) > costs.accuracy(best)) best = level;
  return best;
}

}  // namespace

int cheapest_placement(const CostTable& costs, int level, double limit_s) noexcept {
  int best = -1;
  double least = std::numeric_limits<double>::infinity();
  for (int placement = 0; placement < static_cast<int>(costs.placements().size()); ++placement) {
    const double latency_s = costs.latency(level, placement, costs.opps(placement) - 1);
    const double core_s = latency_s * costs.placements()[static_cast<std::size_t>(placement)].threads;
    if (latency_s > limit_s || core_s >= least) continue;
    best = placement;
    least = core_s;
  }
  return best >= 0 ? best : fastest_setting(costs, level).placement;
}

void check_goal(const Goal& goal) {
  const auto require = [](bool good, const char* what, double found, const char* expected) {
    if (!good)
      throw Error(ErrorCode::bad_usage, fmt::format("{}: found {}, expected {}", what, found, expected));
  };
  require(std::isfinite(goal.target_s) && goal.target_s > 0, "latency target in seconds", goal.target_s,
          "more than 0");
  require(goal.probability > 0 && goal.probability <= 1, "probability of meeting the target",
          goal.probability, "more than 0 and at most 1");
  require(goal.min_accuracy >= 0 && goal.min_accuracy <= 1, "accuracy floor", goal.min_accuracy, "0 to 1");
  require(std::isfinite(goal.period_s) && goal.period_s >= 0, "period in seconds", goal.period_s,
          "0 or more");
  require(std::isfinite(goal.energy_budget_j) && goal.energy_budget_j >= 0, "energy budget in joules",
          goal.energy_budget_j, "0 or more");
}

Nearest nearest_level(const CostTable& costs, const Goal& goal) noexcept {
  Nearest best{-1, 0, 0, std::numeric_limits<double>::infinity()};
  for (int level = 0; level < costs.levels(); ++level) {
    if (costs.accuracy(level) < goal.min_accuracy) continue;
    const Nearest setting = fastest_setting(costs, level);
    if (setting.latency_s < best.latency_s) best = setting;
  }
  return best.level >= 0 ? best : fastest_setting(costs, most_accurate(costs));
}

void require_feasible(const CostTable& costs, const Goal& goal) {
  const Nearest nearest = nearest_level(costs, goal);
  const std::string what = fmt::format(
      "level {} with accuracy {} at {} ({})", nearest.level, format_percent(costs.accuracy(nearest.level)),
      format_duration(nearest.latency_s), costs.placement_name(nearest.placement));
  if (costs.accuracy(nearest.level) < goal.min_accuracy) {
    throw Error(ErrorCode::infeasible,
                fmt::format("no level has an accuracy of {}; the nearest is {}",
                            format_percent(goal.min_accuracy), what),
                "lower the accuracy floor");
  }
  const std::string accurate =
      goal.min_accuracy > 0 ? fmt::format(" with an accuracy of {}", format_percent(goal.min_accuracy)) : "";
  if (nearest.latency_s > goal.target_s) {
    throw Error(ErrorCode::infeasible,
                fmt::format("no level{} meets {} even undisturbed; the nearest is {}", accurate,
                            format_duration(goal.target_s), what),
                fmt::format("ask for at least {}", format_duration(nearest.latency_s)));
  }
  if (goal.period_s > 0 && nearest.latency_s > goal.period_s) {
    throw Error(ErrorCode::infeasible,
                fmt::format("no level{} keeps a rate of one inference every {}; the nearest is {}", accurate,
                            format_duration(goal.period_s), what),
                fmt::format("ask for a period of at least {}", format_duration(nearest.latency_s)));
  }
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/slackfit_policy.h"

#include <algorithm>
#include <array>

#include "dsn/runtime/feasibility.h"

namespace dsn {
namespace {

// The level of the highest bucket below `slack_s`, else the fastest.
int choose(const CostTable& costs, int placement, int opp, double slack_s) noexcept {
  int fastest = 0, slowest = 0;
  for (int level = 1; level < costs.levels(); ++level) {
    const double latency_s = costs.latency(level, placement, opp);
    if (latency_s < costs.latency(fastest, placement, opp)) fastest = level;
    if (latency_s > costs.latency(slowest, placement, opp)) slowest = level;
  }
  const double least_s = costs.latency(fastest, placement, opp);
  const double width_s = (costs.latency(slowest, placement, opp) - least_s) / SlackFitPolicy::kBuckets;
  std::array<int, SlackFitPolicy::kBuckets> kept;
  kept.fill(-1);
  for (int level = 0; level < costs.levels(); ++level) {
    const double position = width_s > 0 ? (costs.latency(level, placement, opp) - least_s) / width_s : 0;
    int& mine = kept[std::min(static_cast<std::size_t>(position), kept.size() - 1)];
    if (mine < 0 || costs.accuracy(level) > costs.accuracy(mine)) mine = level;
  }
  for (std::size_t bucket = kept.size(); bucket-- > 0;)
    if (kept[bucket] >= 0 && costs.latency(kept[bucket], placement, opp) < slack_s) return kept[bucket];
  return fastest;
}

}  // namespace

void SlackFitPolicy::observe(const SystemView& /*view*/, const Completion& /*done*/) noexcept {}

Decision SlackFitPolicy::decide(const SystemView& view, std::size_t app) noexcept {
  Decision decision;
  decision.opp.fill(kLeaveToGovernor);
  const std::size_t count = std::min(view.apps.size(), kMaxApps);
  for (std::size_t a = 0; a < count; ++a) decision.apps[a] = {view.apps[a].level, view.apps[a].placement};
  if (app >= count || view.apps[app].costs == nullptr) return decision;
  const AppView& state = view.apps[app];
  const CostTable& costs = *state.costs;
  const int placement = cheapest_placement(costs, costs.levels() - 1, state.target_s);
  const auto cluster =
      static_cast<std::size_t>(costs.placements()[static_cast<std::size_t>(placement)].cluster);
  const int opp = cluster < view.clusters.size() ? view.clusters[cluster].opp : 0;
  const double slack_s = state.target_s - state.waited_s;
  const int level = choose(costs, placement, opp, slack_s);
  decision.apps[app] = {level, placement};
  decision.feasible = costs.latency(level, placement, opp) < slack_s;
  return decision;
}

}  // namespace dsn

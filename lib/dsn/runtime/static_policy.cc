// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/static_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/runtime/feasibility.h"

namespace dsn {
namespace {

std::string name_of(int level, const std::string& governor) {
  const std::string which =
      level == StaticPolicy::kLargest ? "largest" : (level == 0 ? "smallest" : fmt::format("{}", level));
  if (governor.empty()) return "static:" + which;
  return level == StaticPolicy::kLargest ? "governor:" + governor
                                         : fmt::format("governor:{}:{}", governor, which);
}

}  // namespace

void check_level(const std::string& policy, int level, const CostTable& costs) {
  if (level < costs.levels()) return;
  throw Error(ErrorCode::bad_usage, fmt::format("policy {}: this family has {} levels, 0 to {}", policy,
                                                costs.levels(), costs.levels() - 1));
}

StaticPolicy::StaticPolicy(int level, std::string governor)
    : level_(level), governor_(std::move(governor)), name_(name_of(level, governor_)) {}

void StaticPolicy::check(const CostTable& costs) const {
  check_level(name_, level_, costs);
}

void StaticPolicy::observe(const SystemView& /*view*/, const Completion& /*done*/) noexcept {}

Decision StaticPolicy::decide(const SystemView& view, std::size_t /*app*/) noexcept {
  Decision decision;
  decision.opp.fill(kLeaveToGovernor);
  decision.governor = governor_;
  for (std::size_t a = 0; a < std::min(view.apps.size(), kMaxApps); ++a) {
    const AppView& app = view.apps[a];
    if (app.costs == nullptr) continue;
    const int last = app.costs->levels() - 1;
    const int level = level_ == kLargest ? last : std::min(level_, last);
    decision.apps[a] = {level, cheapest_placement(*app.costs, level, app.target_s)};
  }
  return decision;
}

}  // namespace dsn

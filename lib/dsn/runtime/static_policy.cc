// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/static_policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "dsn/core/error.h"
#include "dsn/runtime/feasibility.h"

namespace dsn {
namespace {

std::string name_of(int level) {
  if (level == StaticPolicy::kLargest) return "static:largest";
  return level == 0 ? "static:smallest" : fmt::format("static:{}", level);
}

}  // namespace

StaticPolicy::StaticPolicy(int level) : level_(level), name_(name_of(level)) {}

void StaticPolicy::check(const CostTable& costs) const {
  if (level_ < costs.levels()) return;
  throw Error(ErrorCode::bad_usage, fmt::format("policy {}: this family has {} levels, 0 to {}", name_,
                                                costs.levels(), costs.levels() - 1));
}

void StaticPolicy::observe(const SystemView& /*view*/, const Completion& /*done*/) noexcept {}

Decision StaticPolicy::decide(const SystemView& view, std::size_t /*app*/) noexcept {
  Decision decision;
  decision.opp.fill(kLeaveToGovernor);
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

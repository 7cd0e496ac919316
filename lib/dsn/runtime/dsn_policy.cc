// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/dsn_policy.h"

#include <algorithm>

#include "dsn/runtime/static_policy.h"

namespace dsn {

DsnPolicy::DsnPolicy(const DsnOptions& options)
    : name_(options.name),
      level_(options.manager.level),
      move_opps_(options.platform.move_opps),
      managers_(kMaxApps, ApplicationManager(options.manager)),
      platform_(options.platform) {}

void DsnPolicy::check(const CostTable& costs) const {
  if (level_ != ManagerOptions::kAnyLevel && level_ != ManagerOptions::kLastLevel)
    check_level(name_, level_, costs);
}

// Where frequencies are not ours to move, the present ones are all that there is.
SystemView DsnPolicy::seen(const SystemView& view) noexcept {
  if (move_opps_) return view;
  SystemView held = view;
  const std::size_t count = std::min(view.clusters.size(), kMaxClusters);
  for (std::size_t c = 0; c < count; ++c) {
    held_[c] = view.clusters[c];
    held_[c].min_opp = held_[c].max_opp = held_[c].opp;
  }
  held.clusters = std::span(held_).first(count);
  return held;
}

void DsnPolicy::observe(const SystemView& view, const Completion& done) noexcept {
  const auto app = static_cast<std::size_t>(done.app);
  if (app >= view.apps.size() || app >= kMaxApps) return;
  managers_[app].observe(view.apps[app], seen(view).clusters, done);
}

Decision DsnPolicy::decide(const SystemView& all, std::size_t app) noexcept {
  const SystemView view = seen(all);
  const std::size_t count = std::min(view.apps.size(), kMaxApps);
  const auto active = [&](std::size_t a) { return view.apps[a].active && view.apps[a].costs != nullptr; };
  for (std::size_t a = 0; a < count; ++a)
    if (active(a)) managers_[a].begin(view.apps[a], view.clusters, view.now_s);
  const Plan plan = platform_.plan(view, managers_, app);

  Decision decision;
  decision.opp = plan.opp;
  decision.feasible = plan.feasible;
  for (std::size_t a = 0; a < count; ++a) {
    if (!active(a)) {
      decision.apps[a] = {view.apps[a].level, view.apps[a].placement};
      continue;
    }
    managers_[a].commit(plan.apps[a]);
    decision.apps[a] = {plan.apps[a].level, plan.apps[a].placement};
  }
  if (app < count && active(app)) decision.apps[app].level = managers_[app].start(view.apps[app].waited_s);
  return decision;
}

double DsnPolicy::slowdown(std::size_t app) const noexcept {
  return app < managers_.size() ? managers_[app].slowdown() : 1.0;
}

}  // namespace dsn

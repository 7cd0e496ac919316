// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/alert_policy.h"

#include <algorithm>
#include <cmath>

namespace dsn {

void AlertFilter::observe(double measured_s, double nominal_s) noexcept {
  if (!(measured_s > 0) || !(nominal_s > 0) || !std::isfinite(measured_s)) return;
  const double innovation = measured_s / nominal_s - mean_;
  const double moved = gain_ * innovation;
  process_noise_ =
      std::max(kLeastProcessNoise, kForgetting * process_noise_ + (1 - kForgetting) * moved * moved);
  variance_ = (1 - gain_) * variance_ + process_noise_;
  gain_ = variance_ / (variance_ + kMeasurementNoise);
  mean_ += gain_ * innovation;
}

double AlertFilter::sigma() const noexcept {
  return std::sqrt(variance_);
}

double AlertFilter::on_time(double nominal_s, double limit_s) const noexcept {
  return 0.5 * std::erfc((mean_ - limit_s / nominal_s) / (sigma() * std::sqrt(2.0)));
}

AlertPolicy::AlertPolicy(bool min_energy)
    : name_(min_energy ? "alert:min-energy" : "alert"), min_energy_(min_energy) {
  opp_.fill(kLeaveToGovernor);
}

void AlertPolicy::observe(const SystemView& view, const Completion& done) noexcept {
  const auto app = static_cast<std::size_t>(done.app);
  if (done.dropped || app >= view.apps.size() || app >= kMaxApps || view.apps[app].costs == nullptr) return;
  filters_[app].observe(done.done_s - done.start_s,
                        view.apps[app].costs->latency(done.level, done.placement, done.opp));
}

AlertPolicy::Option AlertPolicy::weigh(const SystemView& view, std::size_t app, const AppChoice& choice,
                                       int opp) const noexcept {
  const AppView& state = view.apps[app];
  const CostTable& costs = *state.costs;
  const AlertFilter& filter = filters_[app];
  const Placement& placement = costs.placements()[static_cast<std::size_t>(choice.placement)];
  const Cluster* cluster = view.clusters[static_cast<std::size_t>(placement.cluster)].cluster;
  const double nominal_s = costs.latency(choice.level, choice.placement, opp);
  const double goal_s = state.target_s - state.waited_s;
  const double accuracy = costs.accuracy(choice.level);
  Option option;
  option.choice = choice;
  option.opp = opp;
  option.on_time = filter.on_time(nominal_s, goal_s);
  option.accuracy = accuracy * option.on_time + kFailed * (1 - option.on_time);
  if (costs.energy_known()) {
    // Power while it runs, and idle power of what is left until the next.
    double idle_w = 0;
    if (cluster != nullptr && opp < static_cast<int>(cluster->opps.size()))
      idle_w = cluster->opps[static_cast<std::size_t>(opp)].idle_power_w.value_or(0);
    const double power_w = idle_w + costs.energy(choice.level, choice.placement, opp) / nominal_s;
    const double busy_s = filter.mean() * nominal_s;
    const double period_s = state.period_s > 0 ? state.period_s : state.target_s;
    option.energy_j = power_w * busy_s + idle_w * std::max(0.0, period_s - busy_s);
  } else {
    option.energy_j = nominal_s * placement.threads;
  }
  const bool in_budget =
      state.energy_budget_j <= 0 || !costs.energy_known() ||
      costs.energy(choice.level, choice.placement, opp) * filter.mean() <= state.energy_budget_j;
  if (option.on_time < state.probability) return option;
  option.kept = 1;
  if (min_energy_ ? option.accuracy < state.min_accuracy : accuracy < state.min_accuracy) return option;
  option.kept = in_budget ? 3 : 2;
  return option;
}

bool AlertPolicy::better(const Option& a, const Option& b) const noexcept {
  if (a.kept != b.kept) return a.kept > b.kept;
  if (a.kept == 0) return a.on_time != b.on_time ? a.on_time > b.on_time : a.energy_j < b.energy_j;
  const bool by_energy = min_energy_ ? a.kept >= 2 : a.accuracy == b.accuracy;
  return by_energy ? a.energy_j < b.energy_j : a.accuracy > b.accuracy;
}

Decision AlertPolicy::decide(const SystemView& view, std::size_t app) noexcept {
  Decision decision;
  const std::size_t count = std::min(view.apps.size(), kMaxApps);
  for (std::size_t a = 0; a < count; ++a) decision.apps[a] = {view.apps[a].level, view.apps[a].placement};
  decision.opp = opp_;
  if (app >= count || view.apps[app].costs == nullptr) return decision;

  const CostTable& costs = *view.apps[app].costs;
  Option best;
  bool found = false;
  for (int p = 0; p < static_cast<int>(costs.placements().size()); ++p) {
    const auto c = static_cast<std::size_t>(costs.placements()[static_cast<std::size_t>(p)].cluster);
    if (c >= view.clusters.size() || c >= kMaxClusters) continue;
    const ClusterView& cluster = view.clusters[c];
    const bool moves = costs.energy_known() && costs.opps(p) > 1;
    const int low = moves ? cluster.min_opp : cluster.opp, high = moves ? cluster.max_opp : cluster.opp;
    for (int opp = low; opp <= high; ++opp) {
      for (int level = 0; level < costs.levels(); ++level) {
        const Option next = weigh(view, app, {level, p}, opp);
        if (found && !better(next, best)) continue;
        best = next;
        found = true;
      }
    }
  }
  if (!found) return decision;
  decision.apps[app] = best.choice;
  decision.feasible = best.kept == 3;
  const auto cluster =
      static_cast<std::size_t>(costs.placements()[static_cast<std::size_t>(best.choice.placement)].cluster);
  if (costs.energy_known() && costs.opps(best.choice.placement) > 1 &&
      view.clusters[cluster].max_opp > view.clusters[cluster].min_opp)
    decision.opp[cluster] = opp_[cluster] = best.opp;
  return decision;
}

double AlertPolicy::slowdown(std::size_t app) const noexcept {
  return app < kMaxApps ? filters_[app].mean() : 1.0;
}

}  // namespace dsn

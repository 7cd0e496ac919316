// SPDX-License-Identifier: Apache-2.0
// What applications can get, alone and together on one cluster; platform_search.cc puts clusters together.
#include "dsn/runtime/platform_manager.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dsn/runtime/feasibility.h"

namespace dsn {
namespace {

constexpr double kLeastPeriod = 1e-6;
constexpr double kRounding = 1 + 1e-9;
constexpr double kUnresolved = std::numeric_limits<double>::max();  // lateness of an offer not worked out yet

bool is_gpu(const ClusterView& view) noexcept {
  return view.cluster != nullptr && view.cluster->kind == ClusterKind::gpu;
}

// A GPU's contexts take turns: one core.
double cores_of(const ClusterView& view) noexcept {
  if (is_gpu(view) || view.cluster == nullptr || view.cluster->cpus.empty()) return 1;
  return static_cast<double>(view.cluster->cpus.size());
}

double idle_power(const ClusterView& view, int opp) noexcept {
  if (view.cluster == nullptr || view.cluster->opps.empty()) return view.idle_power_w;
  const int last = static_cast<int>(view.cluster->opps.size()) - 1;
  return view.cluster->opps[static_cast<std::size_t>(std::clamp(opp, 0, last))].idle_power_w.value_or(0);
}

// Of an unknown period we know that the target fits into it, or the target could not be kept for long.
double period_of(const AppView& app) noexcept {
  return std::max(app.period_s > 0 ? app.period_s : app.target_s, kLeastPeriod);
}

}  // namespace

bool PlatformManager::active(std::size_t app) const noexcept {
  return apps_[app].active && apps_[app].costs != nullptr;
}

std::size_t PlatformManager::cluster_of(std::size_t app, int placement) const noexcept {
  return static_cast<std::size_t>(
      apps_[app].costs->placements()[static_cast<std::size_t>(placement)].cluster);
}

// Where an application stays that may not move.
int PlatformManager::fixed_placement(std::size_t app) const noexcept {
  const Setting& present = managers_[app].present();
  if (present.level >= 0) return present.placement;
  return cheapest_placement(*apps_[app].costs, managers_[app].end_level() - 1, apps_[app].target_s);
}

void PlatformManager::set_ranges(const SystemView& view) noexcept {
  energy_known_ = true;
  for (std::size_t a = 0; a < apps_.size(); ++a)
    if (active(a)) energy_known_ = energy_known_ && apps_[a].costs->energy_known();
  for (std::size_t c = 0; c < clusters_.size(); ++c) {
    const ClusterView& cluster = clusters_[c];
    bool governed = !options_.move_opps || !energy_known_ || cluster.max_opp <= cluster.min_opp;
    for (std::size_t a = 0; a < apps_.size() && !governed; ++a) {
      if (!active(a)) continue;
      // A placement with one OPP on a cluster with several: how it depends on the clock was not measured.
      for (std::size_t p = 0; p < apps_[a].costs->placements().size(); ++p) {
        const auto placement = static_cast<int>(p);
        governed = governed || (cluster_of(a, placement) == c && apps_[a].costs->opps(placement) <= 1);
      }
    }
    const int most = static_cast<int>(kMaxOpps) - 1;
    const int high = governed ? cluster.opp : limits_.highest_opp(c, cluster, view.now_s);
    ranges_[c] = {std::clamp(governed ? cluster.opp : cluster.min_opp, 0, most), std::clamp(high, 0, most),
                  governed};
  }
  cap_w_ =
      energy_known_ ? limits_.allowed_w(view) - view.base_power_w : std::numeric_limits<double>::infinity();
}

double PlatformManager::idle_at(std::size_t cluster, int opp) const noexcept {
  return energy_known_ ? idle_power(clusters_[cluster], opp) : 0;
}

double PlatformManager::idle_w(std::size_t cluster) const noexcept {
  return idle_at(cluster, clusters_[cluster].opp);
}

void PlatformManager::set_terms() noexcept {
  for (std::size_t a = 0; a < apps_.size(); ++a) {
    if (!active(a)) continue;
    const double period_s = period_of(apps_[a]);
    Terms& terms = terms_[a];
    terms.per_period = 1 / period_s;
    terms.per_target = 1 / apps_[a].target_s;
    terms.budget_j = energy_known_ ? apps_[a].energy_budget_j : 0;
    const std::vector<Placement>& placements = apps_[a].costs->placements();
    for (std::size_t p = 0; p < placements.size(); ++p)
      terms.threads[p] = is_gpu(clusters_[static_cast<std::size_t>(placements[p].cluster)])
                             ? 1
                             : static_cast<double>(placements[p].threads);
  }
}

Offer PlatformManager::offer(std::size_t app, const Setting& setting) const noexcept {
  const AppView& state = apps_[app];
  const CostTable& costs = *state.costs;
  const Terms& terms = terms_[app];
  const double threads = terms.threads[static_cast<std::size_t>(setting.placement)];
  const double demand_s = costs.latency(setting.level, setting.placement, setting.opp);
  const double expected_s = demand_s * managers_[app].expected_ratio(setting.placement);
  const double energy_j =
      energy_known_ ? costs.energy(setting.level, setting.placement, setting.opp) : threads * demand_s;
  Offer result;
  result.level = setting.level;
  if (!managers_[app].open(setting.level, setting.placement, demand_s))
    result.lateness = managers_[app].lateness(setting);
  result.accuracy = costs.accuracy(setting.level);
  result.shortfall = std::max(0.0, state.min_accuracy - result.accuracy);
  if (terms.budget_j > 0) result.excess = std::max(0.0, energy_j / terms.budget_j - 1);
  result.slowness = expected_s * terms.per_target;
  result.cores = threads * std::min(1.0, expected_s * terms.per_period);
  result.power_w = energy_j * terms.per_period;
  return result;
}

// The best level is found without looking at all that it gives: most cells of the table are asked about in
// every decision.
Offer PlatformManager::best_offer(std::size_t app, int placement, int opp) const noexcept {
  const CostTable& costs = *apps_[app].costs;
  const ApplicationManager& manager = managers_[app];
  const double floor = apps_[app].min_accuracy, budget_j = terms_[app].budget_j;
  const Objective objective = judge_.objective();
  int best = -1, below = -1, fastest = -1;  // below: the most accurate of those below the floor
  double first_key = 0, second_key = 0, least_s = 0;
  const double most_s = manager.most_s(placement);
  bool over = false;  // the budget
  for (const int level : costs.by_accuracy()) {
    if (level < manager.first_level() || level >= manager.end_level()) continue;
    const double accuracy = costs.accuracy(level);
    if (best >= 0 && (accuracy < floor || (objective == Objective::max_accuracy && -accuracy > first_key)))
      break;
    const double demand_s = costs.latency(level, placement, opp);
    if (fastest < 0 || demand_s < least_s) {
      fastest = level;
      least_s = demand_s;
    }
    if (demand_s > most_s || !manager.open(level, placement, demand_s)) continue;
    if (accuracy < floor) {
      if (below < 0) below = level;
      continue;
    }
    const double energy_j = energy_known_ ? costs.energy(level, placement, opp) : demand_s;
    if (budget_j > 0 && energy_j > budget_j) {
      over = true;
      continue;
    }
    const double first = objective == Objective::max_accuracy ? -accuracy
                         : objective == Objective::min_energy ? energy_j
                                                              : demand_s;
    const double second = objective == Objective::min_energy ? -accuracy : energy_j;
    if (best >= 0 && (first > first_key || (first == first_key && second >= second_key))) continue;
    best = level;
    first_key = first;
    second_key = second;
  }
  if (best >= 0) return offer(app, {best, placement, opp});
  // Where latency comes first, what is left is the most accurate of what is on time, or the fastest.
  const bool simple = !over && judge_.before(Criterion::latency, Criterion::accuracy) &&
                      (budget_j <= 0 || judge_.before(Criterion::latency, Criterion::energy));
  if (simple && (below < 0 || budget_j <= 0)) {
    Offer open_question;
    open_question.level = below >= 0 ? below : fastest;
    open_question.lateness = kUnresolved;
    return open_question;
  }
  Offer result;
  for (int level = manager.first_level(); level < manager.end_level(); ++level) {
    const Offer next = offer(app, {level, placement, opp});
    if (level == manager.first_level() || judge_.better(next, result)) result = next;
  }
  return result;
}

// What an offer that misses a goal gives is worked out when it is needed, which it seldom is.
const Offer& PlatformManager::resolved(std::size_t app, int placement, int opp) noexcept {
  Offer& cell = offers_[app][static_cast<std::size_t>(placement)][static_cast<std::size_t>(opp)];
  if (cell.lateness == kUnresolved) cell = offer(app, {cell.level, placement, opp});
  return cell;
}

// The best level for every application, placement and OPP: those of different applications do not depend on
// each other.
void PlatformManager::fill_offers() noexcept {
  for (std::size_t a = 0; a < apps_.size(); ++a) {
    if (!active(a)) continue;
    for (int p = first_choice_[a]; p < end_choice_[a]; ++p) {
      const Range range = ranges_[cluster_of(a, p)];
      for (int opp = range.low; opp <= range.high; ++opp)
        offers_[a][static_cast<std::size_t>(p)][static_cast<std::size_t>(opp)] = best_offer(a, p, opp);
    }
  }
}

PlatformManager::Group PlatformManager::group_on(std::size_t cluster, const Mapping& mapping) const noexcept {
  Group group;
  for (std::size_t a = 0; a < apps_.size(); ++a)
    if (active(a) && cluster_of(a, mapping[a]) == cluster) group.members[group.count++] = a;
  return group;
}

// Takes one application to its best level, of those that may be chosen, that uses less: of cores, or of
// power. The first of the lowest priority, then that which uses most.
bool PlatformManager::lower_one(const Group& group, int opp, const Mapping& mapping, bool for_power,
                                Offers& offers) noexcept {
  const auto use = [for_power](const Offer& offer) { return for_power ? offer.power_w : offer.cores; };
  const bool accuracy_first = judge_.before(Criterion::accuracy, Criterion::latency);
  std::size_t chosen = group.count;
  Offer replacement;
  for (std::size_t i = 0; i < group.count; ++i) {
    const std::size_t a = group.members[i];
    if (chosen < group.count) {
      const std::size_t rank = judge_.rank(a), chosen_rank = judge_.rank(group.members[chosen]);
      if (rank < chosen_rank || (rank == chosen_rank && use(*offers[i]) <= use(*offers[chosen]))) continue;
    }
    Offer found;
    bool any = false;
    const CostTable& costs = *apps_[a].costs;
    for (const int level : costs.by_accuracy()) {
      if (level < managers_[a].first_level() || level >= managers_[a].end_level()) continue;
      if (!managers_[a].open(level, mapping[a], costs.latency(level, mapping[a], opp))) continue;
      const Offer next = offer(a, {level, mapping[a], opp});
      if (use(next) >= use(*offers[i])) continue;
      // Too much work is lateness: no reason to give up an accuracy that comes first. A power cap is one.
      if (!for_power && accuracy_first && next.shortfall > offers[i]->shortfall) continue;
      if (!any || judge_.better(next, found)) found = next;
      any = true;
      if (judge_.objective() == Objective::max_accuracy && found.keeps_all()) break;
    }
    if (!any) continue;
    chosen = i;
    replacement = found;
  }
  if (chosen == group.count) return false;
  const std::size_t a = group.members[chosen];
  lowered_[a] = replacement;
  offers[chosen] = &lowered_[a];
  return true;
}

PlatformManager::Share PlatformManager::weigh(std::size_t cluster, int opp, const Group& group,
                                              const Mapping& mapping, double allowance_w,
                                              Offers& offers) noexcept {
  const double available = cores_of(clusters_[cluster]) * kRounding;
  const double idle_w = idle_at(cluster, opp);
  double cores = 0, power_w = idle_w;
  const auto add_up = [&] {
    cores = 0;
    power_w = idle_w;
    for (std::size_t i = 0; i < group.count; ++i) {
      cores += offers[i]->cores;
      power_w += offers[i]->power_w;
    }
  };
  Share share;
  share.opp = opp;
  add_up();
  // One application alone takes turns with itself only: its own manager sees whether it keeps its rate.
  while (group.count > 1 && cores > available && lower_one(group, opp, mapping, false, offers)) {
    share.lowered = true;
    add_up();
  }
  while (power_w > allowance_w * kRounding && lower_one(group, opp, mapping, true, offers)) {
    share.lowered = true;
    add_up();
  }
  for (std::size_t i = 0; i < group.count; ++i) judge_.add(share.score, group.members[i], *offers[i]);
  judge_.add_power(share.score, idle_w);
  if (group.count > 1 && cores > available) {
    // Late is first of all who gives way first.
    std::size_t last = 0;
    for (std::size_t i = 1; i < group.count; ++i)
      if (judge_.rank(group.members[i]) > judge_.rank(group.members[last])) last = i;
    judge_.add_lateness(share.score, group.members[last], cores / available - 1);
  }
  if (power_w > allowance_w * kRounding)
    share.score.violate(0, (power_w - allowance_w) / std::max(std::abs(allowance_w), 1e-3));
  share.power_w = power_w;
  return share;
}

// The best OPP for a group. Members' own best together are a bound of what they get: lowering them makes that
// no better. OPPs are weighed in the order of their bounds, most often one.
PlatformManager::Share PlatformManager::settle(std::size_t cluster, const Group& group,
                                               const Mapping& mapping, double allowance_w) noexcept {
  struct Bound {
    double first = 0, power_w = 0;
    bool keeps_all = true;
  };
  const Range range = ranges_[cluster];
  std::array<Bound, kMaxOpps> bounds;
  std::array<bool, kMaxOpps> left{};
  const auto offers_at = [&](int opp, bool resolve) {
    Offers offers{};
    for (std::size_t m = 0; m < group.count; ++m) {
      const std::size_t a = group.members[m];
      offers[m] = &offers_[a][static_cast<std::size_t>(mapping[a])][static_cast<std::size_t>(opp)];
      if (resolve) offers[m] = &resolved(a, mapping[a], opp);
    }
    return offers;
  };
  for (int opp = range.low; opp <= range.high; ++opp) {
    const Offers offers = offers_at(opp, false);
    Bound bound;
    bound.power_w = idle_at(cluster, opp);
    for (std::size_t m = 0; m < group.count; ++m) {
      bound.first += judge_.first_objective(*offers[m]);
      bound.power_w += offers[m]->power_w;
      bound.keeps_all = bound.keeps_all && offers[m]->keeps_all();
    }
    if (judge_.objective() == Objective::min_energy) bound.first = bound.power_w;
    bounds[static_cast<std::size_t>(opp)] = bound;
    left[static_cast<std::size_t>(opp)] = true;
  }
  Share best;
  bool found = false;
  for (;;) {
    int next = -1;
    const Bound* least = nullptr;
    for (int opp = range.low; opp <= range.high; ++opp) {
      const Bound& bound = bounds[static_cast<std::size_t>(opp)];
      if (!left[static_cast<std::size_t>(opp)]) continue;
      const bool smaller =
          least == nullptr || bound.keeps_all > least->keeps_all ||
          (bound.keeps_all == least->keeps_all &&
           (bound.first < least->first || (bound.first == least->first && bound.power_w < least->power_w)));
      if (!smaller) continue;
      next = opp;
      least = &bound;
    }
    if (next < 0) return best;
    if (found && !best.score.violated) {
      const double tolerance = 1e-9 * std::abs(best.score.objective[0]);
      const double worse = least->first - best.score.objective[0];
      if (!least->keeps_all || worse > tolerance || (worse > -tolerance && least->power_w >= best.power_w))
        return best;
    }
    left[static_cast<std::size_t>(next)] = false;
    Offers offers = offers_at(next, true);
    const Share share = weigh(cluster, next, group, mapping, allowance_w, offers);
    if (!found || better(share.score, best.score)) best = share;
    found = true;
  }
}

}  // namespace dsn

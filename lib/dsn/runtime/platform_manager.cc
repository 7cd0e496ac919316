// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/platform_manager.h"

#include <algorithm>
#include <cmath>

namespace dsn {
namespace {

constexpr double kLeastPeriod = 1e-6;

// Lexicographic; differences in the last digits are no differences.
template <typename Score>
bool better(const Score& a, const Score& b) noexcept {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double tolerance = 1e-9 * std::max({1e-3, std::abs(a[i]), std::abs(b[i])});
    if (a[i] < b[i] - tolerance) return true;
    if (a[i] > b[i] + tolerance) return false;
  }
  return false;
}

template <typename Score>
void add(Score& sum, const Score& term) noexcept {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += term[i];
}

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

}  // namespace

bool PlatformManager::active(std::size_t app) const noexcept {
  return apps_[app].active && apps_[app].costs != nullptr;
}

std::size_t PlatformManager::cluster_of(std::size_t app, int placement) const noexcept {
  return static_cast<std::size_t>(
      apps_[app].costs->placements()[static_cast<std::size_t>(placement)].cluster);
}

PlatformManager::Score PlatformManager::score(const Offer& offer) const noexcept {
  if (objective_ == Objective::max_accuracy)
    return {offer.lateness, offer.shortfall, -offer.accuracy, offer.power_w};
  return {offer.lateness, offer.shortfall, offer.power_w, -offer.accuracy};
}

PlatformManager::Offer PlatformManager::offer(std::size_t app, const Setting& setting) const noexcept {
  const AppView& state = apps_[app];
  const CostTable& costs = *state.costs;
  // Of an unknown period we know that the target fits into it, or the target could not be kept for long.
  const double period_s = std::max(state.period_s > 0 ? state.period_s : state.target_s, kLeastPeriod);
  const bool gpu = is_gpu(clusters_[cluster_of(app, setting.placement)]);
  const double threads = gpu ? 1 : costs.placements()[static_cast<std::size_t>(setting.placement)].threads;
  const double demand_s = costs.latency(setting.level, setting.placement, setting.opp);
  Offer result;
  result.level = setting.level;
  result.lateness = managers_[app].lateness(setting);
  result.accuracy = costs.accuracy(setting.level);
  result.shortfall = std::max(0.0, state.min_accuracy - result.accuracy);
  result.cores = threads * std::min(1.0, managers_[app].expected_s(setting) / period_s);
  result.power_w = energy_known_ ? costs.energy(setting.level, setting.placement, setting.opp) / period_s
                                 : threads * demand_s / period_s;
  return result;
}

void PlatformManager::set_ranges() noexcept {
  energy_known_ = true;
  for (std::size_t a = 0; a < apps_.size(); ++a)
    if (active(a)) energy_known_ = energy_known_ && apps_[a].costs->energy_known();
  for (std::size_t c = 0; c < clusters_.size(); ++c) {
    const ClusterView& view = clusters_[c];
    bool governed = !energy_known_ || view.max_opp <= view.min_opp;
    for (std::size_t a = 0; a < apps_.size() && !governed; ++a) {
      if (!active(a)) continue;
      // A placement with one OPP on a cluster with several: how it depends on the clock was not measured.
      for (std::size_t p = 0; p < apps_[a].costs->placements().size(); ++p) {
        const auto placement = static_cast<int>(p);
        governed = governed || (cluster_of(a, placement) == c && apps_[a].costs->opps(placement) <= 1);
      }
    }
    const int most = static_cast<int>(kMaxOpps) - 1;
    ranges_[c].governed = governed;
    ranges_[c].low = std::clamp(governed ? view.opp : view.min_opp, 0, most);
    ranges_[c].high = std::clamp(governed ? view.opp : view.max_opp, 0, most);
  }
}

// The best level for every application, placement and OPP: those of different applications do not depend on
// each other.
void PlatformManager::fill_offers() noexcept {
  for (std::size_t a = 0; a < apps_.size(); ++a) {
    if (!active(a)) continue;
    const CostTable& costs = *apps_[a].costs;
    for (std::size_t p = 0; p < costs.placements().size(); ++p) {
      const auto placement = static_cast<int>(p);
      const Range range = ranges_[cluster_of(a, placement)];
      for (int opp = range.low; opp <= range.high; ++opp) {
        Offer& best = offers_[a][p][static_cast<std::size_t>(opp)];
        best = offer(a, {0, placement, opp});
        for (int level = 1; level < costs.levels(); ++level) {
          const Offer next = offer(a, {level, placement, opp});
          if (better(score(next), score(best))) best = next;
        }
      }
    }
  }
}

// Takes the application that uses most of the cluster's cores to its next smaller level that may be chosen.
bool PlatformManager::lower_one(std::size_t cluster, int opp, const Mapping& mapping,
                                std::array<Offer, kMaxApps>& offers) const noexcept {
  std::size_t chosen = apps_.size();
  Offer replacement;
  for (std::size_t a = 0; a < apps_.size(); ++a) {
    if (!active(a) || cluster_of(a, mapping[a]) != cluster) continue;
    if (chosen < apps_.size() && offers[a].cores <= offers[chosen].cores) continue;
    Offer found;
    for (int level = 0; level < apps_[a].costs->levels(); ++level) {
      const Offer next = offer(a, {level, mapping[a], opp});
      if (next.lateness <= 0 && next.cores < offers[a].cores && next.cores > found.cores) found = next;
    }
    if (found.cores <= 0) continue;
    chosen = a;
    replacement = found;
  }
  if (chosen == apps_.size()) return false;
  offers[chosen] = replacement;
  return true;
}

PlatformManager::Score PlatformManager::at_opp(std::size_t cluster, int opp, const Mapping& mapping,
                                               std::array<Offer, kMaxApps>& offers) const noexcept {
  const double available = cores_of(clusters_[cluster]);
  const auto wanted = [&] {
    double sum = 0;
    for (std::size_t a = 0; a < apps_.size(); ++a)
      if (active(a) && cluster_of(a, mapping[a]) == cluster) sum += offers[a].cores;
    return sum;
  };
  double cores = wanted();
  // One application alone takes turns with itself only: its own manager sees whether it keeps its rate.
  while (cores > available * (1 + 1e-9) && lower_one(cluster, opp, mapping, offers)) cores = wanted();
  Score sum{};
  int sharing = 0;
  for (std::size_t a = 0; a < apps_.size(); ++a) {
    if (!active(a) || cluster_of(a, mapping[a]) != cluster) continue;
    add(sum, score(offers[a]));
    ++sharing;
  }
  if (sharing > 1 && cores > available) sum[0] += cores / available - 1;
  sum[objective_ == Objective::max_accuracy ? 3 : 2] +=
      energy_known_ ? idle_power(clusters_[cluster], opp) : 0;
  return sum;
}

void PlatformManager::settle_cluster(std::size_t cluster, Candidate& candidate) const noexcept {
  const Range range = ranges_[cluster];
  bool found = false;
  Score best{};
  for (int opp = range.low; opp <= range.high; ++opp) {
    std::array<Offer, kMaxApps> offers = candidate.offers;
    bool used = false;
    for (std::size_t a = 0; a < apps_.size(); ++a) {
      if (!active(a) || cluster_of(a, candidate.mapping[a]) != cluster) continue;
      offers[a] = offers_[a][static_cast<std::size_t>(candidate.mapping[a])][static_cast<std::size_t>(opp)];
      used = true;
    }
    if (!used) {
      // Nothing of ours runs there, but other work may: not ours to slow down.
      candidate.opp[cluster] = kLeaveToGovernor;
      return;
    }
    const Score next = at_opp(cluster, opp, candidate.mapping, offers);
    if (found && !better(next, best)) continue;
    found = true;
    best = next;
    candidate.offers = offers;
    candidate.opp[cluster] = opp;
  }
  add(candidate.score, best);
}

PlatformManager::Candidate PlatformManager::search(std::size_t app) const noexcept {
  long mappings = 1;
  for (std::size_t a = 0; a < apps_.size(); ++a)
    if (active(a))
      mappings =
          std::min(mappings * static_cast<long>(apps_[a].costs->placements().size()), kMostMappings + 1);
  const bool all = mappings <= kMostMappings;
  const auto moves = [&](std::size_t a) { return active(a) && (all || a == app); };

  Mapping mapping{};
  for (std::size_t a = 0; a < apps_.size(); ++a)
    if (active(a) && !moves(a) && managers_[a].present().level >= 0)
      mapping[a] = managers_[a].present().placement;
  Candidate best;
  bool found = false;
  for (;;) {
    Candidate candidate;
    candidate.mapping = mapping;
    for (std::size_t c = 0; c < clusters_.size(); ++c) settle_cluster(c, candidate);
    if (!found || better(candidate.score, best.score)) best = candidate;
    found = true;
    std::size_t a = 0;
    for (; a < apps_.size(); ++a) {
      if (!moves(a)) continue;
      if (++mapping[a] < static_cast<int>(apps_[a].costs->placements().size())) break;
      mapping[a] = 0;
    }
    if (a == apps_.size()) return best;
  }
}

// What runs now, judged as any other candidate. False before the first decision.
bool PlatformManager::present_candidate(Candidate& candidate) const noexcept {
  for (std::size_t a = 0; a < apps_.size(); ++a) {
    if (!active(a)) continue;
    const Setting& present = managers_[a].present();
    if (present.level < 0) return false;
    candidate.mapping[a] = present.placement;
    candidate.offers[a] = offer(a, present);
  }
  for (std::size_t c = 0; c < clusters_.size(); ++c) {
    candidate.opp[c] = kLeaveToGovernor;
    for (std::size_t a = 0; a < apps_.size(); ++a)
      if (active(a) && cluster_of(a, candidate.mapping[a]) == c) candidate.opp[c] = clusters_[c].opp;
    if (candidate.opp[c] == kLeaveToGovernor) continue;
    if (candidate.opp[c] < ranges_[c].low || candidate.opp[c] > ranges_[c].high) return false;
    std::array<Offer, kMaxApps> offers = candidate.offers;
    add(candidate.score, at_opp(c, candidate.opp[c], candidate.mapping, offers));
    for (std::size_t a = 0; a < apps_.size(); ++a)
      if (offers[a].level != candidate.offers[a].level) return false;  // together they do not fit any more
  }
  return true;
}

bool PlatformManager::keep(const Candidate& present, const Candidate& best) const noexcept {
  const bool sound = present.score[0] <= 0 && present.score[1] <= 0;
  if (!sound) return !better(best.score, present.score);
  for (std::size_t a = 0; a < apps_.size(); ++a)
    if (active(a) && !managers_[a].settled()) return true;
  const bool by_accuracy = objective_ == Objective::max_accuracy;
  if (by_accuracy && best.score[2] < present.score[2] - 1e-9) return false;
  const std::size_t power = by_accuracy ? 3 : 2;
  return best.score[power] > present.score[power] * (1 - kWorthwhile);
}

Plan PlatformManager::plan(const SystemView& view, std::span<const ApplicationManager> managers,
                           std::size_t app) noexcept {
  apps_ = view.apps.first(std::min(view.apps.size(), kMaxApps));
  clusters_ = view.clusters.first(std::min(view.clusters.size(), kMaxClusters));
  managers_ = managers;
  set_ranges();
  fill_offers();
  Candidate chosen = search(app);
  Candidate present;
  if (present_candidate(present) && keep(present, chosen)) chosen = present;

  Plan plan;
  plan.feasible = chosen.score[0] <= 0 && chosen.score[1] <= 0;
  plan.opp.fill(kLeaveToGovernor);
  for (std::size_t c = 0; c < clusters_.size(); ++c)
    if (!ranges_[c].governed) plan.opp[c] = chosen.opp[c];
  for (std::size_t a = 0; a < apps_.size(); ++a) {
    if (!active(a)) continue;
    const int opp = chosen.opp[cluster_of(a, chosen.mapping[a])];
    plan.apps[a] = {chosen.offers[a].level, chosen.mapping[a], opp};
  }
  return plan;
}

}  // namespace dsn

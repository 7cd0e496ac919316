// SPDX-License-Identifier: Apache-2.0
// Clusters together: which placements are tried, and what of it is chosen.
#include <algorithm>
#include <cmath>
#include <limits>

#include "dsn/runtime/platform_manager.h"

namespace dsn {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

}  // namespace

// Which placements are tried, and a number for every group of applications that they can make on a cluster.
void PlatformManager::set_choices(std::size_t app, bool capped) noexcept {
  const auto choose = [&](bool all) {
    for (std::size_t a = 0; a < apps_.size(); ++a) {
      if (!active(a)) continue;
      const bool moves = options_.move_placements && (all || a == app);
      first_choice_[a] = moves ? 0 : fixed_placement(a);
      end_choice_[a] = moves ? static_cast<int>(apps_[a].costs->placements().size()) : first_choice_[a] + 1;
    }
    std::size_t groups = 0;
    for (std::size_t c = 0; c < clusters_.size(); ++c) {
      first_group_[c] = groups;
      std::size_t count = 1;
      for (std::size_t a = 0; a < apps_.size(); ++a) {
        if (!active(a)) continue;
        const bool one = end_choice_[a] - first_choice_[a] == 1;
        std::size_t here = 0;
        for (int p = first_choice_[a]; p < end_choice_[a]; ++p)
          if (cluster_of(a, p) == c) digit_[a][static_cast<std::size_t>(p)] = one ? 0 : ++here * count;
        count = std::min(count * (here + 1), kMostGroups + 1);
      }
      groups += count;
    }
    return groups <= kMostGroups;
  };
  if (capped || !choose(true)) (void)choose(false);
  weighed_.fill(false);
}

// Tries every mapping. settle_mapping(candidate) gives the clusters of candidate.mapping their OPPs, scores
// and powers.
template <typename Settle>
PlatformManager::Candidate PlatformManager::search(const Settle& settle_mapping) noexcept {
  Mapping mapping{};
  for (std::size_t a = 0; a < apps_.size(); ++a) mapping[a] = active(a) ? first_choice_[a] : 0;
  Candidate best;
  bool found = false;
  for (;;) {
    Candidate candidate;
    candidate.mapping = mapping;
    // Where nothing of ours runs other work may: not ours to slow down.
    candidate.opp.fill(kLeaveToGovernor);
    settle_mapping(candidate);
    if (!found || better(candidate.score, best.score)) best = candidate;
    found = true;
    std::size_t a = 0;
    for (; a < apps_.size(); ++a) {
      if (!active(a)) continue;
      if (++mapping[a] < end_choice_[a]) break;
      mapping[a] = first_choice_[a];
    }
    if (a == apps_.size()) return best;
  }
}

// Clusters do not depend on each other, and a group on a cluster is weighed once.
PlatformManager::Candidate PlatformManager::search_free() noexcept {
  return search([this](Candidate& candidate) {
    for (std::size_t c = 0; c < clusters_.size(); ++c) {
      std::size_t number = first_group_[c];
      bool used = false;
      for (std::size_t a = 0; a < apps_.size(); ++a) {
        if (!active(a) || cluster_of(a, candidate.mapping[a]) != c) continue;
        number += digit_[a][static_cast<std::size_t>(candidate.mapping[a])];
        used = true;
      }
      candidate.allowance_w[c] = kUnlimited;
      if (!used) {
        candidate.power_w += idle_w(c);
        continue;
      }
      if (!weighed_[number]) {
        shares_[number] = settle(c, group_on(c, candidate.mapping), candidate.mapping, kUnlimited);
        weighed_[number] = true;
      }
      candidate.score.add(shares_[number].score);
      candidate.power_w += shares_[number].power_w;
      candidate.opp[c] = shares_[number].opp;
    }
  });
}

PlatformManager::Candidate PlatformManager::search_capped() noexcept {
  return search([this](Candidate& candidate) { share_power(candidate); });
}

// Of the lowest OPP: near enough to what a group needs at least.
double PlatformManager::least_w_of(std::size_t cluster, const Group& group, const Mapping& mapping) noexcept {
  Offers offers{};
  const int opp = ranges_[cluster].low;
  for (std::size_t i = 0; i < group.count; ++i)
    offers[i] = &resolved(group.members[i], mapping[group.members[i]], opp);
  return weigh(cluster, opp, group, mapping, 0, offers).power_w;
}

// Clusters take what they want of the power that is left, those of the highest priority first; the others are
// left what they need at least.
void PlatformManager::share_power(Candidate& candidate) noexcept {
  struct Turn {
    std::size_t cluster = 0, rank = 0;
    double least_w = 0;
    Group group;
  };
  std::array<Turn, kMaxClusters> turns{};
  std::size_t count = 0;
  double left_w = cap_w_, least_w = 0;
  for (std::size_t c = 0; c < clusters_.size(); ++c) {
    Turn turn{c, Score::kRanks, 0, group_on(c, candidate.mapping)};
    if (turn.group.count == 0) {
      left_w -= idle_w(c);
      candidate.power_w += idle_w(c);
      continue;
    }
    for (std::size_t i = 0; i < turn.group.count; ++i)
      turn.rank = std::min(turn.rank, judge_.rank(turn.group.members[i]));
    turn.least_w = least_w_of(c, turn.group, candidate.mapping);
    least_w += turn.least_w;
    std::size_t at = count++;
    for (; at > 0 && turns[at - 1].rank > turn.rank; --at) turns[at] = turns[at - 1];
    turns[at] = turn;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const Turn& turn = turns[i];
    least_w -= turn.least_w;
    const double allowance_w = left_w - least_w;
    const Share share = settle(turn.cluster, turn.group, candidate.mapping, allowance_w);
    candidate.score.add(share.score);
    candidate.power_w += share.power_w;
    candidate.opp[turn.cluster] = share.opp;
    candidate.allowance_w[turn.cluster] = allowance_w;
    left_w -= share.power_w;
  }
}

// What runs now, judged as any other candidate. False before the first decision, and where it may not go on.
bool PlatformManager::present_candidate(Candidate& candidate) noexcept {
  candidate.allowance_w.fill(kUnlimited);
  for (std::size_t a = 0; a < apps_.size(); ++a) {
    if (!active(a)) continue;
    const Setting& present = managers_[a].present();
    if (present.level < 0) return false;
    candidate.mapping[a] = present.placement;
    present_[a] = offer(a, present);
  }
  for (std::size_t c = 0; c < clusters_.size(); ++c) {
    const Group group = group_on(c, candidate.mapping);
    candidate.opp[c] = group.count > 0 ? clusters_[c].opp : kLeaveToGovernor;
    if (group.count == 0) {
      candidate.power_w += idle_w(c);
      continue;
    }
    if (candidate.opp[c] < ranges_[c].low || candidate.opp[c] > ranges_[c].high) return false;
    Offers offers{};
    for (std::size_t i = 0; i < group.count; ++i) offers[i] = &present_[group.members[i]];
    const Share share = weigh(c, candidate.opp[c], group, candidate.mapping, kUnlimited, offers);
    if (share.lowered) return false;  // together they do not fit any more
    candidate.score.add(share.score);
    candidate.power_w += share.power_w;
  }
  return candidate.power_w <= cap_w_;
}

// A change costs its transition, in which the old OPP goes on, and has the dwell time to pay for it.
double PlatformManager::worthwhile(const Candidate& present, const Candidate& best) const noexcept {
  double transition_s = 0;
  for (std::size_t c = 0; c < clusters_.size(); ++c)
    if (clusters_[c].cluster != nullptr && best.opp[c] != present.opp[c])
      transition_s = std::max(transition_s, clusters_[c].cluster->transition_latency_s);
  return kWorthwhile + transition_s / options_.dwell_s;
}

bool PlatformManager::keep(const Candidate& present, const Candidate& best) const noexcept {
  if (present.score.violated) return !better(best.score, present.score);
  for (std::size_t a = 0; a < apps_.size(); ++a)
    if (active(a) && !managers_[a].settled()) return true;
  const std::size_t power = judge_.power_at();
  const auto& now = present.score.objective;
  const auto& then = best.score.objective;
  const double worth = 1 - worthwhile(present, best);
  if (judge_.objective() == Objective::max_accuracy && then[0] < now[0] - 1e-9) return false;
  if (judge_.objective() == Objective::min_latency && then[0] < now[0] * worth) return false;
  return then[power] > now[power] * worth;
}

Plan PlatformManager::plan(const SystemView& view, std::span<const ApplicationManager> managers,
                           std::size_t app) noexcept {
  apps_ = view.apps.first(std::min(view.apps.size(), kMaxApps));
  clusters_ = view.clusters.first(std::min(view.clusters.size(), kMaxClusters));
  managers_ = managers;
  judge_.begin(view);
  set_ranges(view);
  set_terms();
  set_choices(app, false);
  fill_offers();
  Candidate chosen = search_free();
  if (chosen.power_w > cap_w_) {
    set_choices(app, true);
    chosen = search_capped();
  }
  Candidate present;
  const bool stays = present_candidate(present) && keep(present, chosen);
  if (stays) chosen = present;
  limits_.chosen(view.base_power_w + chosen.power_w, !stays, view.now_s);
  return make_plan(chosen, stays);
}

Plan PlatformManager::make_plan(const Candidate& chosen, bool stays) noexcept {
  Plan plan;
  plan.feasible = !chosen.score.violated;
  plan.opp.fill(kLeaveToGovernor);
  for (std::size_t c = 0; c < clusters_.size(); ++c) {
    const int opp = chosen.opp[c];
    if (opp == kLeaveToGovernor) continue;
    if (!ranges_[c].governed) plan.opp[c] = opp;
    const Group group = group_on(c, chosen.mapping);
    Offers offers{};
    for (std::size_t i = 0; i < group.count; ++i) {
      const std::size_t a = group.members[i];
      offers[i] = stays ? &present_[a] : &resolved(a, chosen.mapping[a], opp);
    }
    (void)weigh(c, opp, group, chosen.mapping, chosen.allowance_w[c], offers);
    for (std::size_t i = 0; i < group.count; ++i) {
      const std::size_t a = group.members[i];
      plan.apps[a] = {offers[i]->level, chosen.mapping[a], opp};
    }
  }
  return plan;
}

}  // namespace dsn

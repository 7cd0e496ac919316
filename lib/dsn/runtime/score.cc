// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/score.h"

#include <algorithm>
#include <cmath>

namespace dsn {
namespace {

// -1: a is smaller, 1: larger, 0: no difference that counts.
int compare(double a, double b) noexcept {
  const double tolerance = 1e-9 * std::max({1e-3, std::abs(a), std::abs(b)});
  if (a < b - tolerance) return -1;
  return a > b + tolerance ? 1 : 0;
}

template <typename Values>
int compare_all(const Values& a, const Values& b) noexcept {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (const int order = compare(a[i], b[i]); order != 0) return order;
  return 0;
}

}  // namespace

void Score::add(const Score& other) noexcept {
  for (std::size_t i = 0; i < objective.size(); ++i) objective[i] += other.objective[i];
  if (!other.violated) return;
  violated = true;
  for (std::size_t i = 0; i < violations.size(); ++i) violations[i] += other.violations[i];
}

bool better(const Score& a, const Score& b) noexcept {
  if (a.violated || b.violated)
    if (const int order = compare_all(a.violations, b.violations); order != 0) return order < 0;
  return compare_all(a.objective, b.objective) < 0;
}

void Judge::begin(const SystemView& view) noexcept {
  for (std::size_t i = 0; i < view.precedence.size(); ++i)
    position_[static_cast<std::size_t>(view.precedence[i])] = i;
  const std::size_t count = std::min(view.apps.size(), kMaxApps);
  for (std::size_t a = 0; a < count; ++a) {
    // Rank: how many different priorities of those that run are higher.
    std::size_t higher = 0;
    for (std::size_t b = 0; b < count; ++b) {
      if (!view.apps[b].active || view.apps[b].priority <= view.apps[a].priority) continue;
      bool counted = false;
      for (std::size_t c = 0; c < b; ++c)
        counted = counted || (view.apps[c].active && view.apps[c].priority == view.apps[b].priority);
      higher += counted ? 0 : 1;
    }
    rank_[a] = std::min(higher, Score::kRanks - 1);
  }
}

void Judge::add(Score& score, std::size_t app, const Offer& offer) const noexcept {
  switch (objective_) {
    case Objective::max_accuracy:
      score.objective[0] -= offer.accuracy;
      score.objective[1] += offer.power_w;
      break;
    case Objective::min_energy:
      score.objective[0] += offer.power_w;
      score.objective[1] -= offer.accuracy;
      break;
    case Objective::min_latency:
      score.objective[0] += offer.slowness;
      score.objective[1] += offer.power_w;
      score.objective[2] -= offer.accuracy;
      break;
  }
  if (offer.keeps_all()) return;
  score.violate(at(app, Criterion::latency), offer.lateness);
  score.violate(at(app, Criterion::accuracy), offer.shortfall);
  score.violate(at(app, Criterion::energy), offer.excess);
}

bool Judge::better_clean(const Offer& a, const Offer& b) const noexcept {
  int order = 0;
  switch (objective_) {
    case Objective::max_accuracy:
      order = compare(b.accuracy, a.accuracy);
      break;
    case Objective::min_energy:
      break;
    case Objective::min_latency:
      order = compare(a.slowness, b.slowness);
      break;
  }
  if (order == 0) order = compare(a.power_w, b.power_w);
  return order != 0 ? order < 0 : compare(b.accuracy, a.accuracy) < 0;
}

bool Judge::better(const Offer& a, const Offer& b) const noexcept {
  if (!a.keeps_all() || !b.keeps_all()) {
    std::array<int, 3> order{};
    order[position_[0]] = compare(a.lateness, b.lateness);
    order[position_[1]] = compare(a.shortfall, b.shortfall);
    order[position_[2]] = compare(a.excess, b.excess);
    for (const int next : order)
      if (next != 0) return next < 0;
  }
  return better_clean(a, b);
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/combine.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace dsn {
namespace {

constexpr std::size_t kSingles = 20, kBeam = 6, kMostChanges = 5;

struct Combination {
  std::vector<std::size_t> changes;  // ascending
  ParetoPoint at;
  double margin = 0;
};

// A change to add to a combination.
struct Step {
  double margin = 0;
  const Combination* base = nullptr;
  std::size_t added = 0;
  ParetoPoint at;
};

// How much more valuable than the best of the front within its cost.
double margin_of(const ParetoPoint& point, std::span<const ParetoPoint> front) {
  const auto next = std::partition_point(front.begin(), front.end(),
                                         [&](const ParetoPoint& p) { return p.cost <= point.cost; });
  if (next != front.begin()) return point.value - (next - 1)->value;
  // Cheaper than all: as good as it is cheap.
  return std::numeric_limits<double>::max();
}

void keep_best(std::vector<Combination>& combinations, std::size_t most) {
  std::stable_sort(combinations.begin(), combinations.end(),
                   [](const Combination& a, const Combination& b) { return a.margin > b.margin; });
  if (combinations.size() > most) combinations.resize(most);
}

}  // namespace

std::vector<std::vector<GeneChange>> combine_changes(const ParetoPoint& start,
                                                     std::span<const GeneChange> changes,
                                                     std::span<const ParetoPoint> front, std::size_t most) {
  std::vector<Combination> singles;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const ParetoPoint at{start.cost + changes[i].cost, start.value + changes[i].value};
    singles.push_back({{i}, at, margin_of(at, front)});
  }
  keep_best(singles, kSingles);
  std::vector<Combination> beam(
      singles.begin(), singles.begin() + static_cast<std::ptrdiff_t>(std::min(kBeam, singles.size())));
  std::vector<Combination> found;
  std::vector<Step> steps;
  for (std::size_t length = 2; length <= kMostChanges; ++length) {
    steps.clear();
    for (const Combination& base : beam) {
      for (const Combination& single : singles) {
        const GeneChange& added = changes[single.changes.front()];
        const bool taken = std::any_of(base.changes.begin(), base.changes.end(),
                                       [&](std::size_t c) { return changes[c].gene == added.gene; });
        if (taken) continue;
        const ParetoPoint at{base.at.cost + added.cost, base.at.value + added.value};
        steps.push_back({margin_of(at, front), &base, single.changes.front(), at});
      }
    }
    std::stable_sort(steps.begin(), steps.end(),
                     [](const Step& a, const Step& b) { return a.margin > b.margin; });
    std::vector<Combination> longer;
    for (const Step& step : steps) {
      if (longer.size() == kBeam) break;
      Combination next{step.base->changes, step.at, step.margin};
      next.changes.insert(std::upper_bound(next.changes.begin(), next.changes.end(), step.added), step.added);
      const bool known = std::any_of(longer.begin(), longer.end(),
                                     [&](const Combination& c) { return c.changes == next.changes; });
      if (!known) longer.push_back(std::move(next));
    }
    for (const Combination& c : longer) {
      if (c.margin > 0) found.push_back(c);
    }
    beam = std::move(longer);
  }
  keep_best(found, most);
  std::vector<std::vector<GeneChange>> result;
  for (const Combination& c : found) {
    std::vector<GeneChange>& set = result.emplace_back();
    for (const std::size_t i : c.changes) set.push_back(changes[i]);
    std::sort(set.begin(), set.end(),
              [](const GeneChange& a, const GeneChange& b) { return a.gene < b.gene; });
  }
  return result;
}

}  // namespace dsn

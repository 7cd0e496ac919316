// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/sampling.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace dsn {
namespace {

// A random sub-network that takes each of its choices from `anchor` with probability `pull`: uniform draws
// alone crowd the middle of the latency range.
SubnetConfig draw_near(const SearchSpace& space, const SubnetConfig& anchor, double pull, Rng& rng) {
  SubnetConfig config = space.sample(rng);
  const auto keep = [&] { return rng.uniform() < pull; };
  if (keep()) config.r = anchor.r;
  for (std::size_t s = 0; s < config.d.size(); ++s) {
    if (keep()) config.d[s] = anchor.d[s];
  }
  for (std::size_t b = 0; b < config.k.size(); ++b) {
    if (keep()) config.e[b] = anchor.e[b];
    if (keep()) config.k[b] = anchor.k[b];
  }
  for (std::size_t i = 0; i < config.w.size(); ++i) {
    if (keep()) config.w[i] = anchor.w[i];
  }
  if (!space.stem_depth().empty() && keep()) config.s = anchor.s;
  return space.canonical(std::move(config));
}

// 0, n-1, then the middles between: any prefix is spread out.
std::vector<std::size_t> ends_first(std::size_t n) {
  std::vector<std::size_t> order = {0};
  if (n > 1) order.push_back(n - 1);
  for (std::size_t parts = 2; order.size() < n; parts *= 2) {
    for (std::size_t i = 1; i < parts; ++i) {
      const std::size_t index = (n - 1) * i / parts;
      if (std::find(order.begin(), order.end(), index) == order.end()) order.push_back(index);
    }
  }
  return order;
}

}  // namespace

SubnetConfig fastest(const SearchSpace& space, int resolution, const LatencyFn& latency) {
  SubnetConfig best = space.smallest();
  best.r = resolution;
  double least = latency(best);
  const auto keep_if_faster = [&](SubnetConfig config) {
    const double cost = latency(config);
    if (cost < least) {
      least = cost;
      best = std::move(config);
    }
  };
  for (int s = 0; s < space.stage_count(); ++s) {
    const StageSpace& stage = space.stages()[static_cast<std::size_t>(s)];
    for (int i = 0; i < stage.depth.front(); ++i) {
      const auto block = static_cast<std::size_t>(space.first_block(s) + i);
      for (const double expand : stage.expand) {
        for (const int kernel : stage.kernel) {
          SubnetConfig config = best;
          config.e[block] = expand;
          config.k[block] = kernel;
          keep_if_faster(std::move(config));
        }
      }
    }
  }
  return best;
}

std::vector<SubnetConfig> initial_sample(const SearchSpace& space, const LatencyFn& latency,
                                         std::size_t count, double max_latency_s, std::uint64_t seed) {
  std::vector<SubnetConfig> chosen;
  std::set<SubnetConfig, ConfigLess> known;
  const auto choose = [&](const SubnetConfig& config) {
    if (chosen.size() < count && latency(config) <= max_latency_s && known.insert(config).second)
      chosen.push_back(config);
  };
  // Half of the budget at most goes to extremes.
  std::vector<SubnetConfig> anchors;
  for (const std::size_t index : ends_first(space.resolutions().size())) {
    anchors.push_back(fastest(space, space.resolutions()[index], latency));
    SubnetConfig large = space.largest();
    large.r = space.resolutions()[index];
    anchors.push_back(std::move(large));
  }
  for (const SubnetConfig& config : anchors) {
    if (chosen.size() < std::max<std::size_t>(count / 2, 1)) choose(config);
  }

  Rng rng = Rng::stream(seed, "search.sample");
  std::vector<std::pair<double, SubnetConfig>> pool;
  for (std::size_t i = 0; i < 60 * count; ++i) {
    const SubnetConfig& anchor = anchors[rng.below(std::min<std::size_t>(anchors.size(), 4))];
    SubnetConfig config = draw_near(space, anchor, rng.uniform(), rng);
    const double cost = latency(config);
    if (cost <= max_latency_s && known.insert(config).second) pool.emplace_back(cost, std::move(config));
  }
  if (pool.empty()) return chosen;
  std::sort(pool.begin(), pool.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : ConfigLess()(a.second, b.second);
  });
  // One from each stratum of log latency, then from what is left, at random.
  const double low = std::log(pool.front().first), high = std::log(pool.back().first);
  const std::size_t strata = count - chosen.size();
  std::vector<std::vector<std::size_t>> members(strata);
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const double place = high > low ? (std::log(pool[i].first) - low) / (high - low) : 0;
    if (strata > 0)
      members[std::min(strata - 1, static_cast<std::size_t>(place * static_cast<double>(strata)))].push_back(
          i);
  }
  std::vector<bool> taken(pool.size(), false);
  for (const auto& stratum : members) {
    if (stratum.empty()) continue;
    const std::size_t pick = stratum[rng.below(stratum.size())];
    taken[pick] = true;
    chosen.push_back(pool[pick].second);
  }
  std::vector<std::size_t> rest;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    if (!taken[i]) rest.push_back(i);
  }
  rng.shuffle(std::span<std::size_t>(rest));
  for (std::size_t i = 0; i < rest.size() && chosen.size() < count; ++i)
    chosen.push_back(pool[rest[i]].second);
  return chosen;
}

}  // namespace dsn

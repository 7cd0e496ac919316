// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/evolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/search/pareto.h"

namespace dsn {
namespace {

// Distance of each point to its neighbours on its own front, in log latency and accuracy; ends are infinitely
// far.
std::vector<double> crowding(const std::vector<ParetoPoint>& points, const std::vector<int>& ranks) {
  std::vector<double> distance(points.size(), 0);
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tie(ranks[a], points[a].cost) < std::tie(ranks[b], points[b].cost);
  });
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && ranks[order[end]] == ranks[order[begin]]) ++end;
    const ParetoPoint &first = points[order[begin]], &last = points[order[end - 1]];
    const double cost_range = std::max(last.cost - first.cost, 1e-12);
    const double value_range = std::max(last.value - first.value, 1e-12);
    for (std::size_t i = begin; i < end; ++i) {
      if (i == begin || i + 1 == end) {
        distance[order[i]] = std::numeric_limits<double>::infinity();
        continue;
      }
      const ParetoPoint &before = points[order[i - 1]], &after = points[order[i + 1]];
      distance[order[i]] =
          (after.cost - before.cost) / cost_range + (after.value - before.value) / value_range;
    }
    begin = end;
  }
  return distance;
}

class Evolution {
 public:
  Evolution(const SearchSpace& space, const LatencyFn& latency, const AccuracyPredictor& predictor,
            const EvolutionOptions& options, std::uint64_t seed)
      : space_(space),
        latency_(latency),
        predictor_(predictor),
        options_(options),
        rng_(Rng::stream(seed, "search.evolve")) {}

  // Looks at a sub-network unless it is known; whether it was new.
  bool look(const SubnetConfig& config) {
    const auto [it, is_new] = known_.try_emplace(config, archive_.size());
    if (!is_new) return false;
    archive_.push_back({config, latency_(config), predictor_.predict(config)});
    return true;
  }

  [[nodiscard]] bool full() const {
    return archive_.size() >= static_cast<std::size_t>(options_.evaluations);
  }

  void start(std::span<const SubnetConfig> seeds) {
    for (const SubnetConfig& config : seeds) look(space_.canonical(config));
    for (int tries = 0; tries < 20 * options_.population && archive_.size() < population_size() && !full();
         ++tries) {
      look(space_.sample(rng_));
    }
    population_.resize(archive_.size());
    std::iota(population_.begin(), population_.end(), std::size_t{0});
    select();
  }

  // One generation; false when no new sub-network was found.
  bool step() {
    const std::size_t before = archive_.size();
    for (int tries = 0;
         tries < 20 * options_.population && archive_.size() < before + population_size() && !full();
         ++tries) {
      look(child());
    }
    for (std::size_t i = before; i < archive_.size(); ++i) population_.push_back(i);
    select();
    return archive_.size() > before;
  }

  [[nodiscard]] std::vector<Candidate> front() const {
    std::vector<ParetoPoint> points;
    std::vector<std::size_t> index;
    for (std::size_t i = 0; i < archive_.size(); ++i) {
      if (archive_[i].latency_s > options_.max_latency_s) continue;
      points.push_back({archive_[i].latency_s, archive_[i].accuracy});
      index.push_back(i);
    }
    std::vector<Candidate> result;
    for (const std::size_t i : pareto_front(points)) result.push_back(archive_[index[i]]);
    return result;
  }

  [[nodiscard]] std::size_t looked_at() const { return archive_.size(); }

 private:
  [[nodiscard]] std::size_t population_size() const { return static_cast<std::size_t>(options_.population); }

  // Keeps the best of the population, best first.
  void select() {
    std::vector<std::size_t> feasible, over;
    for (const std::size_t i : population_) {
      (archive_[i].latency_s <= options_.max_latency_s ? feasible : over).push_back(i);
    }
    std::vector<ParetoPoint> points;
    for (const std::size_t i : feasible)
      points.push_back({std::log(archive_[i].latency_s), archive_[i].accuracy});
    const std::vector<int> ranks = pareto_ranks(points);
    const std::vector<double> distance = crowding(points, ranks);
    std::vector<std::size_t> order(feasible.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::tie(ranks[a], distance[b]) < std::tie(ranks[b], distance[a]);
    });
    std::stable_sort(over.begin(), over.end(), [&](std::size_t a, std::size_t b) {
      return archive_[a].latency_s < archive_[b].latency_s;
    });
    population_.clear();
    for (const std::size_t i : order) population_.push_back(feasible[i]);
    population_.insert(population_.end(), over.begin(), over.end());
    if (population_.size() > population_size()) population_.resize(population_size());
  }

  // The population is sorted: of two drawn, the one further in front is the better.
  const SubnetConfig& parent() {
    const std::size_t a = rng_.below(population_.size()), b = rng_.below(population_.size());
    return archive_[population_[std::min(a, b)]].config;
  }

  SubnetConfig child() {
    const SubnetConfig &mother = parent(), &father = parent();
    const SubnetConfig fresh = space_.sample(rng_);
    const auto pick = [&](auto from_mother, auto from_father, auto drawn) {
      const bool mutate = rng_.uniform() < options_.mutation;
      const bool second = rng_.below(2) == 1;
      return mutate ? drawn : second ? from_father : from_mother;
    };
    SubnetConfig config = mother;
    config.r = pick(mother.r, father.r, fresh.r);
    for (std::size_t s = 0; s < config.d.size(); ++s)
      config.d[s] = pick(mother.d[s], father.d[s], fresh.d[s]);
    for (std::size_t b = 0; b < config.k.size(); ++b) {
      config.e[b] = pick(mother.e[b], father.e[b], fresh.e[b]);
      config.k[b] = pick(mother.k[b], father.k[b], fresh.k[b]);
    }
    for (std::size_t i = 0; i < config.w.size(); ++i)
      config.w[i] = pick(mother.w[i], father.w[i], fresh.w[i]);
    if (!space_.stem_depth().empty()) config.s = pick(mother.s, father.s, fresh.s);
    return space_.canonical(std::move(config));
  }

  const SearchSpace& space_;
  const LatencyFn& latency_;
  const AccuracyPredictor& predictor_;
  const EvolutionOptions& options_;
  Rng rng_;
  std::vector<Candidate> archive_;  // everything looked at, in order
  std::map<SubnetConfig, std::size_t, ConfigLess> known_;
  std::vector<std::size_t> population_;  // indices in the archive
};

}  // namespace

bool ConfigLess::operator()(const SubnetConfig& a, const SubnetConfig& b) const noexcept {
  return std::tie(a.r, a.d, a.e, a.k, a.w, a.s) < std::tie(b.r, b.d, b.e, b.k, b.w, b.s);
}

std::vector<Candidate> evolve(const SearchSpace& space, const LatencyFn& latency,
                              const AccuracyPredictor& predictor, std::span<const SubnetConfig> seeds,
                              const EvolutionOptions& options, std::uint64_t seed, Job& job) {
  if (options.population < 2 || options.evaluations < options.population) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("evolution: found population {} and {} evaluations, expected at least 2 and "
                            "no fewer evaluations than the population",
                            options.population, options.evaluations));
  }
  if (!(options.mutation >= 0 && options.mutation <= 1)) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("evolution: mutation: found {}, expected 0 to 1", options.mutation));
  }
  Evolution evolution(space, latency, predictor, options, seed);
  evolution.start(seeds);
  job.begin("evolve", options.evaluations);
  while (!evolution.full()) {
    job.check_stop();
    if (!evolution.step()) break;
    job.advance(static_cast<double>(evolution.looked_at()));
  }
  job.end();
  return evolution.front();
}

}  // namespace dsn

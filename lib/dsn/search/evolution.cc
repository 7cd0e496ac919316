// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/evolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/search/pareto.h"
#include "dsn/search/row_batch.h"

namespace dsn {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kRefineBatch = 512;  // rows; enough work for every thread

class Evolution {
 public:
  Evolution(const GeneSpace& genes, std::span<const SearchObjective> objectives,
            const EvolutionOptions& options, std::uint64_t seed, int threads)
      : genes_(genes),
        objectives_(objectives),
        options_(options),
        batch_(genes, objectives, threads),
        rng_(Rng::stream(seed, "search.evolve")) {}

  [[nodiscard]] std::size_t looked_at() const { return excess_.size(); }

  void start(std::span<const SubnetConfig> seeds) {
    std::vector<Gene> row(width());
    for (const SubnetConfig& config : seeds) {
      genes_.write(config, row.data());
      propose(row, limit());
    }
    for (int tries = 0; tries < 20 * options_.population && waiting() < population_size(); ++tries) {
      genes_.draw(rng_, row.data());
      propose(row, limit());
    }
    take_in();
  }

  // One generation; false when no new row was found.
  bool step(std::size_t until) {
    std::vector<Gene> row(width());
    for (int tries = 0; tries < 20 * options_.population && waiting() < population_size(); ++tries) {
      child(row.data());
      propose(row, until);
    }
    return take_in();
  }

  // Every single change of members of the front that were not tried yet; false when there are none left.
  bool refine() {
    std::vector<std::size_t> open;
    for (const std::size_t i : front_) {
      if (refined_.count(i) == 0) open.push_back(i);
    }
    if (open.empty()) return false;
    rng_.shuffle(std::span<std::size_t>(open));
    for (const std::size_t i : open) {
      if (waiting() >= kRefineBatch || looked_at() + waiting() >= limit()) break;
      refined_.insert(i);
      propose_changes(i);
    }
    take_in();
    return true;
  }

  [[nodiscard]] std::size_t limit() const { return static_cast<std::size_t>(options_.evaluations); }

  [[nodiscard]] RowEvolution result() const {
    RowEvolution result;
    result.evaluations = looked_at();
    for (const std::size_t i : front_) result.front.push_back(row_of(i));
    result.any_feasible = !front_.empty();
    if (!result.any_feasible)
      result.nearest = row_of(
          static_cast<std::size_t>(std::min_element(excess_.begin(), excess_.end()) - excess_.begin()));
    return result;
  }

 private:
  [[nodiscard]] std::size_t width() const { return genes_.size(); }
  [[nodiscard]] std::size_t count() const { return objectives_.size(); }
  [[nodiscard]] std::size_t population_size() const { return static_cast<std::size_t>(options_.population); }
  [[nodiscard]] std::size_t waiting() const { return rows_.size() / width() - looked_at(); }
  [[nodiscard]] const Gene* row(std::size_t i) const { return rows_.data() + i * width(); }
  [[nodiscard]] const double* costs(std::size_t i) const { return costs_.data() + i * count(); }

  [[nodiscard]] FrontRow row_of(std::size_t i) const {
    FrontRow out;
    out.genes.assign(row(i), row(i) + width());
    genes_.canonical(out.genes.data());
    for (std::size_t o = 0; o < count(); ++o)
      out.values[o] = objectives_[o].maximise ? -costs(i)[o] : costs(i)[o];
    return out;
  }

  // Queues a row unless it is known. Genes that mean nothing stay as they are: what they hold comes back when
  // a child has more blocks.
  void propose(const std::vector<Gene>& proposed, std::size_t until) {
    if (looked_at() + waiting() >= until) return;
    key_ = proposed;
    genes_.canonical(key_.data());
    const std::string_view bytes(reinterpret_cast<const char*>(key_.data()), key_.size());
    if (known_.emplace(bytes).second) rows_.insert(rows_.end(), proposed.begin(), proposed.end());
  }

  // Looks at what is queued, updates front and population; whether there was anything.
  bool take_in() {
    const std::size_t before = looked_at(), fresh = waiting();
    if (fresh == 0) return false;
    costs_.resize((before + fresh) * count());
    batch_.costs(row(before), fresh, costs_.data() + before * count());
    for (std::size_t i = before; i < before + fresh; ++i) excess_.push_back(excess_of(costs(i)));
    for (std::size_t i = before; i < before + fresh; ++i) {
      population_.push_back(i);
      if (excess_[i] == 0) front_.push_back(i);
    }
    front_ = best_of(front_);
    select();
    return true;
  }

  // By how much a row misses the limits, relative to them; 0 within.
  [[nodiscard]] double excess_of(const double* cost) const {
    double sum = 0;
    for (std::size_t o = 0; o < count(); ++o) {
      const double most = objectives_[o].maximise ? -objectives_[o].limit : objectives_[o].limit;
      if (cost[o] > most) sum += (cost[o] - most) / std::max(std::abs(most), 1e-12);
    }
    return sum;
  }

  [[nodiscard]] std::vector<double> gather(const std::vector<std::size_t>& rows) const {
    std::vector<double> gathered;
    gathered.reserve(rows.size() * count());
    for (const std::size_t i : rows) gathered.insert(gathered.end(), costs(i), costs(i) + count());
    return gathered;
  }

  [[nodiscard]] std::vector<std::size_t> best_of(const std::vector<std::size_t>& rows) const {
    std::vector<std::size_t> best;
    for (const std::size_t i : pareto_front(gather(rows), count())) best.push_back(rows[i]);
    return best;
  }

  // Distance of each point to its neighbours on its own front; ends are infinitely far.
  [[nodiscard]] std::vector<double> crowding(const std::vector<double>& points,
                                             const std::vector<int>& ranks) const {
    const std::size_t m = count();
    std::vector<double> distance(ranks.size(), 0);
    std::vector<std::size_t> order(ranks.size());
    for (std::size_t o = 0; o < m; ++o) {
      const auto at = [&](std::size_t i) { return points[i * m + o]; };
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(ranks[a], at(a)) < std::pair(ranks[b], at(b));
      });
      for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
        while (end < order.size() && ranks[order[end]] == ranks[order[begin]]) ++end;
        const double range = std::max(at(order[end - 1]) - at(order[begin]), 1e-12);
        distance[order[begin]] = distance[order[end - 1]] = kInfinity;
        for (std::size_t i = begin + 1; i + 1 < end; ++i)
          distance[order[i]] += (at(order[i + 1]) - at(order[i - 1])) / range;
      }
    }
    return distance;
  }

  // Keeps the best of the population, best first.
  void select() {
    std::vector<std::size_t> within, over;
    for (const std::size_t i : population_) (excess_[i] == 0 ? within : over).push_back(i);
    const std::vector<double> points = gather(within);
    const std::vector<int> ranks = pareto_ranks(points, count());
    const std::vector<double> distance = crowding(points, ranks);
    std::vector<std::size_t> order(within.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::tie(ranks[a], distance[b]) < std::tie(ranks[b], distance[a]);
    });
    std::stable_sort(over.begin(), over.end(),
                     [&](std::size_t a, std::size_t b) { return excess_[a] < excess_[b]; });
    population_.clear();
    for (const std::size_t i : order) population_.push_back(within[i]);
    population_.insert(population_.end(), over.begin(), over.end());
    if (population_.size() > population_size()) population_.resize(population_size());
  }

  // The population is sorted: of two drawn, the one further in front is the better.
  const Gene* parent() {
    const std::size_t a = rng_.below(population_.size()), b = rng_.below(population_.size());
    return row(population_[std::min(a, b)]);
  }

  void child(Gene* out) {
    const Gene *mother = parent(), *father = parent();
    std::uint64_t coins = 0;
    for (std::size_t g = 0; g < width(); ++g) {
      if (g % 64 == 0) coins = rng_();
      out[g] = (coins >> (g % 64) & 1) != 0 ? mother[g] : father[g];
      if (rng_.uniform() < options_.mutation)
        out[g] = static_cast<Gene>(rng_.below(static_cast<std::uint64_t>(genes_.options(g))));
    }
  }

  void propose_changes(std::size_t i) {
    std::vector<Gene> changed(row(i), row(i) + width());
    for (std::size_t g = 0; g < width(); ++g) {
      const Gene own = changed[g];
      for (int value = 0; value < genes_.options(g); ++value) {
        changed[g] = static_cast<Gene>(value);
        if (changed[g] != own) propose(changed, limit());
      }
      changed[g] = own;
    }
  }

  const GeneSpace& genes_;
  std::span<const SearchObjective> objectives_;
  const EvolutionOptions& options_;
  RowBatch batch_;
  Rng rng_;
  std::vector<Gene> rows_, key_;  // everything looked at, in order, and then what is queued
  std::vector<double> costs_;     // [looked at][objectives], all to be kept low
  std::vector<double> excess_;    // over the limits
  std::unordered_set<std::string> known_;
  std::vector<std::size_t> population_, front_;
  std::unordered_set<std::size_t> refined_;
};

void check_options(std::span<const SearchObjective> objectives, const EvolutionOptions& options,
                   int threads) {
  if (options.population < 2 || options.evaluations < options.population) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("evolution: found population {} and {} evaluations, expected at least 2 and "
                            "no fewer evaluations than the population",
                            options.population, options.evaluations));
  }
  const auto require_share = [](const char* name, double value) {
    if (!(value >= 0 && value <= 1))
      throw Error(ErrorCode::bad_usage, fmt::format("evolution: {}: found {}, expected 0 to 1", name, value));
  };
  require_share("mutation", options.mutation);
  require_share("refine", options.refine);
  if (objectives.size() < 2 || objectives.size() > kMostObjectives || threads < 1) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("evolution: found {} objectives and {} threads, expected 2 or 3 "
                            "and at least 1",
                            objectives.size(), threads));
  }
}

}  // namespace

bool ConfigLess::operator()(const SubnetConfig& a, const SubnetConfig& b) const noexcept {
  return std::tie(a.r, a.d, a.e, a.k, a.w, a.s) < std::tie(b.r, b.d, b.e, b.k, b.w, b.s);
}

RowEvolution evolve_rows(const GeneSpace& genes, std::span<const SearchObjective> objectives,
                         std::span<const SubnetConfig> seeds, const EvolutionOptions& options,
                         std::uint64_t seed, int threads, Job& job) {
  check_options(objectives, options, threads);
  Evolution evolution(genes, objectives, options, seed, threads);
  evolution.start(seeds);
  job.begin("evolve", options.evaluations);
  const auto evolved = static_cast<std::size_t>((1 - options.refine) * options.evaluations);
  const auto go_on = [&] {
    job.check_stop();
    job.advance(static_cast<double>(evolution.looked_at()));
    return true;
  };
  while (evolution.looked_at() < evolved && go_on() && evolution.step(evolved)) {
  }
  while (evolution.looked_at() < evolution.limit() && go_on() && evolution.refine()) {
  }
  // What single changes could not use goes to more generations.
  while (evolution.looked_at() < evolution.limit() && go_on() && evolution.step(evolution.limit())) {
  }
  job.end();
  return evolution.result();
}

std::vector<Candidate> evolve(const SearchSpace& space, const LatencyFn& latency,
                              const AccuracyPredictor& predictor, std::span<const SubnetConfig> seeds,
                              const EvolutionOptions& options, std::uint64_t seed, Job& job) {
  const GeneSpace genes(space);
  const auto latencies = per_config(genes, latency);
  const auto accuracies = predictor.rows(genes);
  const std::array objectives{SearchObjective{latencies.get(), false, options.max_latency_s},
                              SearchObjective{accuracies.get(), true, -kInfinity}};
  std::vector<Candidate> front;
  for (const FrontRow& row : evolve_rows(genes, objectives, seeds, options, seed, 1, job).front)
    front.push_back({genes.config(row.genes.data()), row.values[0], row.values[1]});
  return front;
}

}  // namespace dsn

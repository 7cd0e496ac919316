// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/evolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/search/combine.h"
#include "dsn/search/crowding.h"
#include "dsn/search/pareto.h"
#include "dsn/search/row_batch.h"

namespace dsn {
namespace {

constexpr std::size_t kRefineBatch = 512;  // rows; enough work for every thread
constexpr double kNicheWidth = 0.02;       // of costs, relative
constexpr std::size_t kElites = 6;         // refined at a time
constexpr std::size_t kCombinations = 12;  // per refined row

class Evolution {
 public:
  Evolution(const GeneSpace& genes, std::span<const SearchObjective> objectives,
            const EvolutionOptions& options, std::uint64_t seed, int threads)
      : genes_(genes),
        objectives_(objectives),
        options_(options),
        batch_(genes, objectives, threads),
        rng_(Rng::stream(seed, "search.evolve")) {}

  void run(std::span<const SubnetConfig> seeds, Job& job) {
    const int starts = options_.starts, parts = starts > 1 ? starts + 1 : 1;
    const auto end_of = [&](int part) {
      return static_cast<std::size_t>(std::int64_t{options_.evaluations} * part / parts);
    };
    for (island_ = 1; island_ <= starts; ++island_) {
      limit_ = end_of(island_);
      const auto share = static_cast<double>(limit_ - looked_at());
      const auto evolved = looked_at() + static_cast<std::size_t>((1 - options_.refine) * share);
      start(seeds);
      while (looked_at() < evolved && go_on(job) && step(evolved)) {
      }
      finish(job);
      leave_island();
    }
    if (starts == 1) return;
    limit_ = end_of(parts);
    finish(job);
  }

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
  // Row `to` is row `from` with one gene set to `value`.
  struct Changed {
    std::size_t from, to, gene;
    Gene value;
  };

  [[nodiscard]] std::size_t looked_at() const { return excess_.size(); }

  bool go_on(Job& job) const {
    job.check_stop();
    job.advance(static_cast<double>(looked_at()));
    return true;
  }

  // Refines; what that could not use goes to more generations.
  void finish(Job& job) {
    while (looked_at() < limit_ && go_on(job) && refine()) {
    }
    while (looked_at() < limit_ && go_on(job) && step(limit_)) {
    }
  }

  // Forgets all but what rows cost, or after the last puts together what was found.
  void leave_island() {
    if (options_.starts == 1) return;
    merged_.insert(merged_.end(), front_.begin(), front_.end());
    population_.clear();
    front_.clear();
    elites_.clear();
    queue_.clear();
    if (island_ < options_.starts) {
      refined_.clear();
      return;
    }
    population_ = front_ = best_of(merged_);
    select();
    std::vector<std::size_t> all(looked_at());
    std::iota(all.begin(), all.end(), std::size_t{0});
    if (count() == 2) keep_elites(all);
  }

  void start(std::span<const SubnetConfig> seeds) {
    std::vector<Gene> row(width());
    for (const SubnetConfig& config : seeds) {
      genes_.write(config, row.data());
      propose(row, limit_);
    }
    for (int tries = 0; tries < 20 * options_.population && waiting() < population_size(); ++tries) {
      genes_.draw(rng_, row.data());
      propose(row, limit_);
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

  // Every single change of members of the front that were not tried yet, then those put together that promise
  // most; false when there are none left.
  bool refine() {
    std::vector<std::size_t> open;
    for (const std::size_t i : front_) {
      if (refined_.count(i) == 0) open.push_back(i);
    }
    rng_.shuffle(std::span<std::size_t>(open));
    if (open.empty()) open = next_elites();
    if (open.empty()) return false;
    std::vector<Changed> changed;
    for (const std::size_t i : open) {
      if (waiting() >= kRefineBatch || looked_at() + waiting() >= limit_) break;
      refined_.insert(i);
      propose_changes(i, changed);
    }
    take_in();
    if (count() == 2) propose_combinations(changed);
    take_in();
    return true;
  }

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

  // Queues a row unless it is known; the number it has or will have, nothing when `until` is reached. Genes
  // that mean nothing stay as they are: what they hold comes back when a child has more blocks.
  std::optional<std::size_t> propose(const std::vector<Gene>& proposed, std::size_t until) {
    key_ = proposed;
    genes_.canonical(key_.data());
    const std::string bytes(reinterpret_cast<const char*>(key_.data()), key_.size());
    if (const auto known = known_.find(bytes); known != known_.end()) {
      // What another island looked at costs nothing here.
      if (known->second < looked_at() && home_[known->second] != island_) {
        home_[known->second] = island_;
        adopted_.push_back(known->second);
      }
      return known->second;
    }
    const std::size_t number = looked_at() + waiting();
    if (number >= until) return std::nullopt;
    known_.emplace(bytes, number);
    rows_.insert(rows_.end(), proposed.begin(), proposed.end());
    return number;
  }

  // Looks at what is queued, updates front and population; whether there was anything.
  bool take_in() {
    const std::size_t before = looked_at(), fresh = waiting();
    if (fresh == 0 && adopted_.empty()) return false;
    costs_.resize((before + fresh) * count());
    if (fresh > 0) batch_.costs(row(before), fresh, costs_.data() + before * count());
    for (std::size_t i = before; i < before + fresh; ++i) {
      excess_.push_back(excess_of(costs(i)));
      home_.push_back(island_);
      adopted_.push_back(i);
    }
    for (const std::size_t i : adopted_) {
      population_.push_back(i);
      if (excess_[i] == 0) front_.push_back(i);
    }
    front_ = best_of(front_);
    select();
    if (count() == 2) keep_elites(adopted_);
    adopted_.clear();
    return true;
  }

  // How much more valuable a row is than the best of the front within its cost: at most 0.
  [[nodiscard]] double margin(std::size_t i) const {
    const auto next = std::partition_point(front_.begin(), front_.end(),
                                           [&](std::size_t f) { return costs(f)[0] <= costs(i)[0]; });
    return next == front_.begin() ? 0 : costs(*(next - 1))[1] - costs(i)[1];
  }

  void keep_elites(const std::vector<std::size_t>& rows) {
    const std::size_t coarse = genes_.expand_gene(0);
    for (const std::size_t i : rows) {
      if (excess_[i] > 0) continue;
      std::string niche(reinterpret_cast<const char*>(row(i)), coarse);
      niche += std::to_string(static_cast<int>(std::floor(std::log(costs(i)[0]) / std::log1p(kNicheWidth))));
      const auto [elite, fresh] = elites_.emplace(std::move(niche), i);
      if (!fresh && margin(i) > margin(elite->second)) elite->second = i;
    }
  }

  // Some that are not refined, nearest to the front first; the order is made anew when it is used up.
  std::vector<std::size_t> next_elites() {
    std::vector<std::size_t> next;
    const auto take = [&] {
      for (; !queue_.empty() && next.size() < kElites; queue_.pop_back()) {
        if (refined_.count(queue_.back()) == 0) next.push_back(queue_.back());
      }
    };
    take();
    if (!next.empty()) return next;
    std::vector<std::pair<double, std::size_t>> order;
    for (const auto& [niche, i] : elites_) {
      if (refined_.count(i) == 0) order.emplace_back(-margin(i), i);
    }
    const std::size_t some = std::min(order.size(), 8 * kElites);
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(some), order.end());
    for (std::size_t n = some; n-- > 0;) queue_.push_back(order[n].second);
    take();
    return next;
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

  // Keeps the best of the population, best first.
  void select() {
    std::vector<std::size_t> within, over;
    for (const std::size_t i : population_) (excess_[i] == 0 ? within : over).push_back(i);
    const std::vector<double> points = gather(within);
    const std::vector<int> ranks = pareto_ranks(points, count());
    const std::vector<double> distance = crowding_distances(points, ranks, count());
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

  void propose_changes(std::size_t i, std::vector<Changed>& changed) {
    std::vector<Gene> genes(row(i), row(i) + width());
    for (std::size_t g = 0; g < width(); ++g) {
      const Gene own = genes[g];
      for (int value = 0; value < genes_.options(g); ++value) {
        genes[g] = static_cast<Gene>(value);
        if (genes[g] == own) continue;
        const auto to = propose(genes, limit_);
        if (to && *to != i)
          changed.push_back({i, *to, g, genes[g]});  // a gene that means nothing changes nothing
      }
      genes[g] = own;
    }
  }

  void propose_combinations(const std::vector<Changed>& changed) {
    std::vector<ParetoPoint> front;
    for (const std::size_t i : front_) front.push_back({costs(i)[0], -costs(i)[1]});
    std::vector<GeneChange> changes;
    for (std::size_t begin = 0, end = 0; begin < changed.size(); begin = end) {
      const std::size_t from = changed[begin].from;
      changes.clear();
      for (; end < changed.size() && changed[end].from == from; ++end) {
        const Changed& c = changed[end];
        changes.push_back(
            {c.gene, c.value, costs(c.to)[0] - costs(from)[0], costs(from)[1] - costs(c.to)[1]});
      }
      const ParetoPoint start{costs(from)[0], -costs(from)[1]};
      for (const auto& set : combine_changes(start, changes, front, kCombinations)) {
        std::vector<Gene> genes(row(from), row(from) + width());
        double cost = start.cost;
        for (const GeneChange& change : set) {
          genes[change.gene] = change.to;
          cost += change.cost;
        }
        if (cost <= objectives_[0].limit) propose(genes, limit_);
      }
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
  std::unordered_map<std::string, std::size_t> known_;  // canonical genes, number
  int island_ = 1;
  std::size_t limit_ = 0;                                 // of rows looked at, for now
  std::vector<int> home_;                                 // island that a row was last part of
  std::vector<std::size_t> adopted_;                      // joining the island
  std::vector<std::size_t> population_, front_, merged_;  // of the island; fronts of those before
  std::unordered_set<std::size_t> refined_;
  // The best of each niche: of rows that share resolution and depths and are about as costly. Where choices
  // that change everything else put the front, its neighbours are worth a look.
  std::map<std::string, std::size_t> elites_;
  std::vector<std::size_t> queue_;  // elites to refine, the next one last
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
  if (options.starts < 1 ||
      (options.starts > 1 && options.evaluations / (options.starts + 1) < options.population))
    throw Error(
        ErrorCode::bad_usage,
        fmt::format("evolution: starts: found {} for {} evaluations, expected at least 1 and a population "
                    "for each",
                    options.starts, options.evaluations));
}

}  // namespace

RowEvolution evolve_rows(const GeneSpace& genes, std::span<const SearchObjective> objectives,
                         std::span<const SubnetConfig> seeds, const EvolutionOptions& options,
                         std::uint64_t seed, int threads, Job& job) {
  check_options(objectives, options, threads);
  Evolution evolution(genes, objectives, options, seed, threads);
  job.begin("evolve", options.evaluations);
  evolution.run(seeds, job);
  job.end();
  return evolution.result();
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// The predicted search on published numbers:
//
//   search_bench LUT_TABLES.json PREDICTOR.safetensors limits|hypervolume|exact [THREADS] [PICTURE.svg]
//   search_bench LUT_TABLES.json PREDICTOR.safetensors rate|rows FILE
//
// limits: best accuracy within five latencies and the time of a search, 10 seeds. hypervolume: against random
// search and single-objective restarts at as many evaluations. exact: how far from the true front of a
// reduced space. rate: sub-networks a second, one thread. rows: drawn rows of genes and their numbers, for
// search_rate.py to compute again.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/stats.h"
#include "dsn/search/evolution.h"
#include "dsn/search/front_plot.h"
#include "dsn/search/predicted.h"
#include "search_baselines.h"

namespace {

using namespace dsn;         // NOLINT(google-build-using-namespace)
using namespace dsn::bench;  // NOLINT(google-build-using-namespace)

constexpr int kSeeds = 10;
const ParetoPoint kReference{0.032, 0.75};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Median and extremes.
std::string spread(std::vector<double> values, int digits) {
  std::sort(values.begin(), values.end());
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", median(values), digits, values.front(), digits,
                     values.back(), digits);
}

struct Bench {
  Published published;
  GeneSpace genes{published.space, {160, 176, 192, 208, 224}};
  RowNumbers rows{genes, published};
  int threads = 1;

  std::vector<ParetoPoint> search(int seed, int evaluations) const {
    PredictedSearchOptions options;
    options.evaluations = evaluations;
    options.seed = static_cast<std::uint64_t>(seed);
    options.threads = threads;
    const PredictedSearch result =
        search_predicted(published.space, published.lut, published.point, published.predictor,
                         genes.resolutions(), nullptr, options, silent_job());
    std::vector<ParetoPoint> points;
    for (const auto& p : result.front) points.push_back({p.latency_s, p.predicted});
    return points;
  }
};

void limits(const Bench& bench) {
  constexpr std::array kLimits{0.018, 0.020, 0.022, 0.024, 0.027};
  const int evaluations = PredictedSearchOptions{}.evaluations;
  std::vector<double> seconds;
  std::array<std::vector<double>, kLimits.size()> within;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    const double start = now();
    const auto points = bench.search(seed, evaluations);
    seconds.push_back(now() - start);
    for (std::size_t i = 0; i < kLimits.size(); ++i)
      within[i].push_back(best_within(points, kLimits[i]) * 100);
  }
  fmt::print("{} evaluations, {} threads, {} seeds: {} s a search\n", evaluations, bench.threads, kSeeds,
             spread(seconds, 2));
  for (std::size_t i = 0; i < kLimits.size(); ++i)
    fmt::print("within {:.0f} ms: {} % predicted\n", kLimits[i] * 1e3, spread(within[i], 3));
}

std::vector<ParetoPoint> front_of(const std::vector<ParetoPoint>& points) {
  std::vector<ParetoPoint> front;
  for (const std::size_t i : pareto_front(points)) front.push_back(points[i]);
  return front;
}

void draw_fronts(const std::map<std::string, std::vector<ParetoPoint>>& fronts, const std::string& path) {
  Plot plot;
  plot.title = "100,000 evaluations, seed 1: latency (published table) and predicted accuracy";
  for (const auto& [name, front] : fronts) {
    PlotSeries& series = plot.series.emplace_back();
    series.name = name;
    series.line = true;
    for (const ParetoPoint& p : front) {
      if (p.cost <= kReference.cost && p.value >= kReference.value)
        series.points.push_back({p.cost, p.value, ""});
    }
  }
  write_plot(plot, path);
}

// Shares of the hypervolume of the front of all that any of them found.
void hypervolumes(const Bench& bench, const char* picture) {
  constexpr std::array kBudgets{1000, 3000, 10000, 30000, 100000};
  const std::array<std::string, 3> names{"dsn search", "single-objective restarts", "random search"};
  std::vector<ParetoPoint> best;
  std::map<std::string, std::vector<ParetoPoint>> drawn;
  std::map<int, std::array<std::vector<double>, 3>> volumes;
  for (const int evaluations : kBudgets) {
    for (int seed = 1; seed <= kSeeds; ++seed) {
      const std::array found{
          front_of(bench.search(seed, evaluations)),
          front_of(restarts(bench.rows, evaluations, static_cast<std::uint64_t>(seed))),
          front_of(random_search(bench.rows, evaluations, static_cast<std::uint64_t>(seed)))};
      for (std::size_t i = 0; i < found.size(); ++i) {
        volumes[evaluations][i].push_back(hypervolume(found[i], kReference));
        best.insert(best.end(), found[i].begin(), found[i].end());
        if (seed == 1 && evaluations == kBudgets.back()) drawn[names[i]] = found[i];
      }
      best = front_of(best);
    }
  }
  const double whole = hypervolume(best, kReference);
  fmt::print(
      "% of the hypervolume of everything found (reference {:.0f} ms, {:.0f} %), medians of {} seeds "
      "(extremes)\n| evaluations | {} | {} | {} |\n| --- | --- | --- | --- |\n",
      kReference.cost * 1e3, kReference.value * 100, kSeeds, names[0], names[1], names[2]);
  for (auto& [evaluations, each] : volumes) {
    fmt::print("| {} |", evaluations);
    for (auto& values : each) {
      for (double& v : values) v *= 100 / whole;
      fmt::print(" {} |", spread(values, 2));
    }
    fmt::print("\n");
  }
  if (picture != nullptr) draw_fronts(drawn, picture);
}

// Five resolutions, two depths, two ratios and one kernel: few enough to look at every sub-network.
SearchSpace reduced(const SearchSpace& space) {
  Json document = space.document();
  document["resolutions"] = {160, 176, 192, 208, 224};
  for (Json& stage : document["stages"]) {
    stage["depth"] = {2, 3};
    stage["expand"] = {3, 6};
    stage["kernel"] = {5};
  }
  return SearchSpace::parse(document, "reduced");
}

// The true front of all rows of `rows`; how many there are into `count`.
std::vector<ParetoPoint> exact_front(const RowNumbers& rows, std::size_t& count) {
  const GeneSpace& genes = rows.genes;
  std::vector<ParetoPoint> exact;
  std::vector<Gene> row(genes.size(), 0), batch;
  const auto flush = [&] {
    const auto points = rows.look(batch);
    exact.insert(exact.end(), points.begin(), points.end());
    exact = front_of(exact);
    batch.clear();
  };
  for (bool more = true; more;) {
    std::vector<Gene> canonical = row;
    genes.canonical(canonical.data());
    if (canonical == row) {
      ++count;
      batch.insert(batch.end(), row.begin(), row.end());
      if (batch.size() >= 8192 * genes.size()) flush();
    }
    more = false;
    for (std::size_t g = 0; g < genes.size() && !more; ++g) {
      row[g] = static_cast<Gene>(row[g] + 1 == genes.options(g) ? 0 : row[g] + 1);
      more = row[g] != 0;
    }
  }
  flush();
  return exact;
}

void exact(const Bench& bench) {
  const SearchSpace space = reduced(bench.published.space);
  const GeneSpace genes(space);
  const RowNumbers rows(genes, bench.published);
  std::size_t count = 0;
  const std::vector<ParetoPoint> exact = exact_front(rows, count);
  fmt::print("reduced space of {} sub-networks, exact front of {}\n", count, exact.size());
  const std::array objectives{SearchObjective{&rows.latency},
                              SearchObjective{rows.accuracy.get(), true, -1e300}};
  for (const int evaluations : {2000, 5000, 10000, 20000}) {
    std::vector<double> share, gap, same;
    for (int seed = 1; seed <= kSeeds; ++seed) {
      EvolutionOptions options;
      options.population = 100;
      options.evaluations = evaluations;
      std::vector<ParetoPoint> found;
      for (const FrontRow& f : evolve_rows(genes, objectives, {}, options, static_cast<std::uint64_t>(seed),
                                           bench.threads, silent_job())
                                   .front)
        found.push_back({f.values[0], f.values[1]});
      double worst = 0, met = 0;
      for (const ParetoPoint& p : exact) {
        const double behind = p.value - best_within(found, p.cost);
        worst = std::max(worst, behind);
        met += behind <= 0 ? 1 : 0;
      }
      gap.push_back(worst * 100);
      same.push_back(met / static_cast<double>(exact.size()) * 100);
      share.push_back(hypervolume(found, kReference) / hypervolume(exact, kReference) * 100);
    }
    fmt::print(
        "{} evaluations: {} % of its hypervolume, {} % of its points found, largest gap {} points of "
        "accuracy\n",
        evaluations, spread(share, 3), spread(same, 1), spread(gap, 3));
  }
}

void rate(const Bench& bench) {
  constexpr std::size_t kCount = 65536;
  const std::vector<Gene> drawn = bench.rows.draw(kCount, 1);
  const double start = now();
  (void)bench.rows.look(drawn);
  fmt::print("{:.0f}\n", kCount / (now() - start));
}

// Per row its genes as text, latency and accuracy.
void write_rows(const Bench& bench, const char* path) {
  const std::vector<Gene> drawn = bench.rows.draw(2000, 2);
  const auto points = bench.rows.look(drawn);
  std::string text;
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t g = 0; g < bench.genes.size(); ++g)
      text += fmt::format("{} ", drawn[i * bench.genes.size() + g]);
    text += fmt::format("{:.9g} {:.9g}\n", points[i].cost, points[i].value);
  }
  write_file_atomic(path, text);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 3 ? argv[3] : "";
  try {
    if (argc > 3) {
      Bench bench{{argv[1], argv[2]}};
      const char* fourth = argc > 4 ? argv[4] : "1";
      if (what == "rows") return write_rows(bench, fourth), 0;
      if (what == "rate") return rate(bench), 0;
      bench.threads = std::atoi(fourth);
      if (what == "limits") return limits(bench), 0;
      if (what == "hypervolume") return hypervolumes(bench, argc > 5 ? argv[5] : nullptr), 0;
      if (what == "exact") return exact(bench), 0;
    }
  } catch (const Error& error) {
    fmt::print(stderr, "search_bench: {}\n", error.message());
    return 1;
  }
  fmt::print(stderr,
             "usage: search_bench LUT_TABLES.json PREDICTOR.safetensors limits|hypervolume|exact [THREADS] "
             "[PICTURE.svg] | rate | rows FILE\n");
  return 2;
}

// SPDX-License-Identifier: Apache-2.0
#include "search_baselines.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>

#include "dsn/profile/ofa_tables.h"

namespace dsn::bench {
namespace {

constexpr std::size_t kPopulation = 100, kParents = 25;
constexpr double kMutation = 0.1;
constexpr int kLimits = 10;
constexpr double kFirstLimit = 0.017, kLimitStep = 0.0015;

struct Member {
  double accuracy = 0;
  std::vector<Gene> row;
};

// The finder for one limit.
class OneLimit {
 public:
  OneLimit(const RowNumbers& rows, double limit_s, Rng& rng) : rows_(rows), limit_s_(limit_s), rng_(rng) {}

  std::vector<ParetoPoint> run(std::size_t evaluations) {
    breed([&](std::vector<Gene>& row) { rows_.genes.draw(rng_, row.data()); }, kPopulation);
    while (seen_.size() < evaluations && !population_.empty()) {
      std::stable_sort(population_.begin(), population_.end(),
                       [](const Member& a, const Member& b) { return a.accuracy > b.accuracy; });
      population_.resize(std::min(population_.size(), kParents));
      parents_ = population_;
      breed([&](std::vector<Gene>& row) { mutate(row); }, kPopulation / 2);
      breed([&](std::vector<Gene>& row) { cross(row); }, kPopulation / 2);
    }
    return std::move(seen_);
  }

 private:
  const std::vector<Gene>& parent() { return parents_[rng_.below(parents_.size())].row; }

  void mutate(std::vector<Gene>& row) {
    row = parent();
    for (std::size_t g = 0; g < row.size(); ++g) {
      if (rng_.uniform() < kMutation)
        row[g] = static_cast<Gene>(rng_.below(static_cast<std::uint64_t>(rows_.genes.options(g))));
    }
  }

  void cross(std::vector<Gene>& row) {
    const std::vector<Gene>&a = parent(), &b = parent();
    for (std::size_t g = 0; g < row.size(); ++g) row[g] = rng_.below(2) == 0 ? a[g] : b[g];
  }

  // Adds `want` rows within the limit to the population; latency is looked up before anything is counted.
  void breed(const std::function<void(std::vector<Gene>&)>& make, std::size_t want) {
    const std::size_t width = rows_.genes.size();
    std::vector<Gene> batch, row(width);
    for (std::size_t tries = 0; batch.size() < want * width && tries < 20000 * want; ++tries) {
      make(row);
      double latency_s = 0;
      rows_.latency.values(row.data(), 1, &latency_s);
      if (latency_s <= limit_s_) batch.insert(batch.end(), row.begin(), row.end());
    }
    const auto points = rows_.look(batch);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const auto begin = batch.begin() + static_cast<std::ptrdiff_t>(i * width);
      population_.push_back({points[i].value, {begin, begin + static_cast<std::ptrdiff_t>(width)}});
      seen_.push_back(points[i]);
    }
  }

  const RowNumbers& rows_;
  double limit_s_;
  Rng& rng_;
  std::vector<Member> population_, parents_;
  std::vector<ParetoPoint> seen_;
};

}  // namespace

Published::Published(const char* tables, const char* predictor_file)
    : lut(import_ofa_tables(read_json(tables), tables, space, bare_platform("board", tables), point).lut),
      predictor(OfaPredictor::open(predictor_file, space)) {}

RowNumbers::RowNumbers(const GeneSpace& space, const Published& published)
    : genes(space),
      latency(space, [&](const Unit& unit,
                         int r) { return published.lut.unit_entry(unit, r, published.point).latency_s; }),
      accuracy(published.predictor.rows(space)) {}

std::vector<ParetoPoint> RowNumbers::look(const std::vector<Gene>& rows) const {
  const std::size_t count = rows.size() / genes.size();
  std::vector<double> costs(count), values(count);
  latency.values(rows.data(), count, costs.data());
  accuracy->values(rows.data(), count, values.data());
  std::vector<ParetoPoint> points(count);
  for (std::size_t i = 0; i < count; ++i) points[i] = {costs[i], values[i]};
  return points;
}

std::vector<Gene> RowNumbers::draw(std::size_t count, std::uint64_t seed) const {
  Rng rng(seed);
  std::vector<Gene> drawn(count * genes.size());
  for (std::size_t i = 0; i < drawn.size(); i += genes.size()) genes.draw(rng, drawn.data() + i);
  return drawn;
}

std::vector<ParetoPoint> random_search(const RowNumbers& rows, int evaluations, std::uint64_t seed) {
  return rows.look(rows.draw(static_cast<std::size_t>(evaluations), seed));
}

std::vector<ParetoPoint> restarts(const RowNumbers& rows, int evaluations, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<ParetoPoint> all;
  for (int i = 0; i < kLimits; ++i) {
    const auto seen = OneLimit(rows, kFirstLimit + kLimitStep * i, rng)
                          .run(static_cast<std::size_t>(evaluations) / kLimits);
    all.insert(all.end(), seen.begin(), seen.end());
  }
  return all;
}

double best_within(const std::vector<ParetoPoint>& points, double limit_s) {
  double best = 0;
  for (const ParetoPoint& p : points) best = p.cost <= limit_s ? std::max(best, p.value) : best;
  return best;
}

}  // namespace dsn::bench

// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <tuple>

#include "dsn/search/evolution.h"

namespace dsn {

bool ConfigLess::operator()(const SubnetConfig& a, const SubnetConfig& b) const noexcept {
  return std::tie(a.r, a.d, a.e, a.k, a.w, a.s) < std::tie(b.r, b.d, b.e, b.k, b.w, b.s);
}

std::vector<Candidate> evolve(const SearchSpace& space, const LatencyFn& latency,
                              const AccuracyPredictor& predictor, std::span<const SubnetConfig> seeds,
                              const EvolutionOptions& options, std::uint64_t seed, Job& job) {
  const GeneSpace genes(space);
  const auto latencies = per_config(genes, latency);
  const auto accuracies = predictor.rows(genes);
  const std::array objectives{
      SearchObjective{latencies.get(), false, options.max_latency_s},
      SearchObjective{accuracies.get(), true, -std::numeric_limits<double>::infinity()}};
  std::vector<Candidate> front;
  for (const FrontRow& row : evolve_rows(genes, objectives, seeds, options, seed, 1, job).front)
    front.push_back({genes.config(row.genes.data()), row.values[0], row.values[1]});
  return front;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// What dsn search is compared with: published numbers as a search problem, random search, and
// single-objective evolution restarted for several limits.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dsn/profile/lut.h"
#include "dsn/search/ofa_predictor.h"
#include "dsn/search/pareto.h"

namespace dsn::bench {

// Published latency tables and the predictor published with Once-for-All.
struct Published {
  SearchSpace space = SearchSpace::load("ofa-mbv3", 1.2);
  OperatingPoint point{"device", 1, 0, 1};
  Lut lut;
  OfaPredictor predictor;

  // Throws as import_ofa_tables() and OfaPredictor::open().
  Published(const char* tables, const char* predictor_file);
};

// Latency and predicted accuracy of rows, on the calling thread. Refers to both arguments.
struct RowNumbers {
  const GeneSpace& genes;
  UnitSums latency;
  std::unique_ptr<RowFunction> accuracy;

  RowNumbers(const GeneSpace& space, const Published& published);
  [[nodiscard]] std::vector<ParetoPoint> look(const std::vector<Gene>& rows) const;
  [[nodiscard]] std::vector<Gene> draw(std::size_t count, std::uint64_t seed) const;
};

// All that was looked at.
[[nodiscard]] std::vector<ParetoPoint> random_search(const RowNumbers& rows, int evaluations,
                                                     std::uint64_t seed);

// Once-for-All's finder (https://github.com/mit-han-lab/once-for-all), for ten limits spread evenly over
// 17 to 30.5 ms, each with a tenth of the evaluations: population 100, the best quarter are parents, half of
// the children are mutated (each choice with 0.1), half crossed. What is over the limit is drawn again and
// not counted. All that was looked at, not only its ten answers.
[[nodiscard]] std::vector<ParetoPoint> restarts(const RowNumbers& rows, int evaluations, std::uint64_t seed);

[[nodiscard]] double best_within(const std::vector<ParetoPoint>& points, double limit_s);

}  // namespace dsn::bench

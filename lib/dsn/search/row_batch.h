// SPDX-License-Identifier: Apache-2.0
// Objectives of many rows at once, on all threads. Not installed.
#pragma once

#include <span>

#include "dsn/engine/elastic/task_pool.h"
#include "dsn/search/evolution.h"

namespace dsn {

// thread-bound. Refers to what it is made of.
class RowBatch {
 public:
  RowBatch(const GeneSpace& genes, std::span<const SearchObjective> objectives, int threads);

  // costs[i * objectives + o] of `count` rows; what is maximised is negated. A row's numbers do not depend on
  // its place or on the number of threads. Throws what objectives throw.
  void costs(const Gene* rows, std::size_t count, double* costs);

 private:
  const GeneSpace& genes_;
  std::span<const SearchObjective> objectives_;
  elastic::TaskPool pool_;
};

}  // namespace dsn

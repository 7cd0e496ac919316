// SPDX-License-Identifier: Apache-2.0
// Changes of single genes put together. Not installed.
#pragma once

#include <span>
#include <vector>

#include "dsn/search/genes.h"
#include "dsn/search/pareto.h"

namespace dsn {

// What setting one gene of a row was seen to do to it.
struct GeneChange {
  std::size_t gene = 0;
  Gene to = 0;
  double cost = 0, value = 0;  // added
};

// Sets of two to five changes of different genes of the row at `start` that would lie furthest beyond
// `front` (as pareto_front() orders it) if their effects added up, at most `most`, each with its changes in
// ascending order of gene. A beam search: latencies of units do add up, accuracies nearly.
[[nodiscard]] std::vector<std::vector<GeneChange>> combine_changes(const ParetoPoint& start,
                                                                   std::span<const GeneChange> changes,
                                                                   std::span<const ParetoPoint> front,
                                                                   std::size_t most);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// How alone points are on their fronts. Not installed.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace dsn {

// Sum over objectives of the distance between a point's neighbours on its own front, relative to the front's
// range; infinite at the ends (Deb et al. 2002). costs[i * objectives + o]; ranks: pareto_ranks() of the
// same.
[[nodiscard]] std::vector<double> crowding_distances(std::span<const double> costs,
                                                     const std::vector<int>& ranks, std::size_t objectives);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Choosing a few levels from a Pareto front.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "dsn/profile/lut.h"
#include "dsn/search/pareto.h"

namespace dsn {

// Picks at most `count` points of `front` (ascending cost above 0, ascending value) and returns their
// indices, ascending. Both ends are always among them. In between it trades, exactly (dynamic programming),
// even coverage of the logarithm of cost against the value that the best point within a budget has, averaged
// over budgets spread evenly in log cost. Neighbours differ in cost by more than `noise` (relative): fewer
// than `count` are picked where the front has no room. When even the ends are that close, only the last
// remains.
[[nodiscard]] std::vector<std::size_t> choose_levels(std::span<const ParetoPoint> front, std::size_t count,
                                                     double noise);

// The same where costs differ with the operating point: elsewhere[p][i] is the cost of point i of the front
// at another operating point p, above 0. Coverage and value are averaged over all of them, so that the
// targets of each are covered; neighbours differ by more than `noise` at one of them at least.
[[nodiscard]] std::vector<std::size_t> choose_levels(std::span<const ParetoPoint> front,
                                                     const std::vector<std::vector<double>>& elsewhere,
                                                     std::size_t count, double noise);

// How much a level's latency scatters in a look-up table, relative: the median over what was measured end to
// end at `point`, as a standard deviation; a quarter at most. 0 when nothing was, ten times at least.
[[nodiscard]] double measured_noise(const Lut& lut, const OperatingPoint& point);

}  // namespace dsn

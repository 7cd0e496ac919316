// SPDX-License-Identifier: Apache-2.0
// Which sub-networks to evaluate before anything is known about their accuracy.
#pragma once

#include <cstdint>
#include <vector>

#include "dsn/search/evolution.h"

namespace dsn {

// The fastest sub-network at a resolution. Exact where latency is a sum over units, as each choice is taken
// on its own, and grows with width: widths are the smallest.
[[nodiscard]] SubnetConfig fastest(const SearchSpace& space, int resolution, const LatencyFn& latency);

// Up to `count` distinct sub-networks within max_latency_s: first the fastest and the largest at the lowest
// and the highest resolution, then those between, then random ones spread over the logarithm of latency.
// Fewer when the space has no more. Deterministic by `seed`.
[[nodiscard]] std::vector<SubnetConfig> initial_sample(const SearchSpace& space, const LatencyFn& latency,
                                                       std::size_t count, double max_latency_s,
                                                       std::uint64_t seed);

}  // namespace dsn

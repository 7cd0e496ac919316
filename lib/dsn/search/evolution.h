// SPDX-License-Identifier: Apache-2.0
// Evolutionary search of a space for the front of latency against predicted accuracy.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/search/predictor.h"
#include "dsn/space/search_space.h"

namespace dsn {

// A total order of canonical sub-networks, so that they can be keys.
struct ConfigLess {
  [[nodiscard]] bool operator()(const SubnetConfig& a, const SubnetConfig& b) const noexcept;
};

struct Candidate {
  SubnetConfig config;
  double latency_s = 0, accuracy = 0;
};

using LatencyFn = std::function<double(const SubnetConfig&)>;

struct EvolutionOptions {
  int population = 64;
  int evaluations = 4000;  // distinct sub-networks looked at; fewer when the space or chance has no more
  double mutation = 0.1;   // chance of each choice to be drawn anew
  double max_latency_s = std::numeric_limits<double>::infinity();
};

// NSGA-II (Deb et al. 2002, doi:10.1109/4235.996017; sub-networks over max_latency_s lose to those within)
// starting from `seeds` and random sub-networks. Returns the Pareto front of everything it looked at within
// max_latency_s, ascending in latency. Runs on the calling thread; the result depends on the arguments alone.
// Throws Error{bad_usage} for options out of range.
[[nodiscard]] std::vector<Candidate> evolve(const SearchSpace& space, const LatencyFn& latency,
                                            const AccuracyPredictor& predictor,
                                            std::span<const SubnetConfig> seeds,
                                            const EvolutionOptions& options, std::uint64_t seed, Job& job);

}  // namespace dsn

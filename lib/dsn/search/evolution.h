// SPDX-License-Identifier: Apache-2.0
// Evolutionary search of a space for a Pareto front: of latency against predicted accuracy, or of any two or
// three numbers that rows of genes have.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/search/genes.h"
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
  double mutation = 0.05;  // chance of each choice to be drawn anew
  double max_latency_s = std::numeric_limits<double>::infinity();
  // Share of the evaluations that goes to changes of what is on the front, when evolution is over.
  double refine = 0.5;
  // More than one: as many searches that know nothing of each other, then changes of the front of all of
  // them, each with an equal part of the evaluations. They end in different places, of which no single change
  // leads out.
  int starts = 1;
};

// What an evolution makes small or large, and the worst that is acceptable of it.
struct SearchObjective {
  const RowFunction* of = nullptr;
  bool maximise = false;
  double limit = std::numeric_limits<double>::infinity();  // of what is maximised: minus infinity for none
};

inline constexpr std::size_t kMostObjectives = 3;

struct FrontRow {
  std::vector<Gene> genes;  // canonical
  std::array<double, kMostObjectives> values{};
};

struct RowEvolution {
  std::vector<FrontRow> front;  // ascending in the first objective; nothing that was looked at dominates them
  std::size_t evaluations = 0;
  bool any_feasible = false;
  FrontRow nearest;  // when nothing is within the limits: what misses them by least
};

// NSGA-II (Deb et al. 2002, doi:10.1109/4235.996017; rows over a limit lose to those within), then Pareto
// local search (Paquete et al. 2004, doi:10.1007/978-3-642-17144-4_7): every change of one gene of what is on
// the front, with two objectives also those put together that would lead beyond it, then of the best with
// other resolutions and depths (Mouret and Clune 2015, arXiv:1504.04909), until the evaluations are used up.
// Starts from `seeds` and random rows. Rows are looked at in
// batches on `threads` threads, where objectives must be thread-safe with more than one; the result is the
// same for any number of them. options.max_latency_s is not looked at. Throws Error{bad_usage} for options
// out of range or other than two or three objectives, and what objectives throw.
[[nodiscard]] RowEvolution evolve_rows(const GeneSpace& genes, std::span<const SearchObjective> objectives,
                                       std::span<const SubnetConfig> seeds, const EvolutionOptions& options,
                                       std::uint64_t seed, int threads, Job& job);

// The front of latency against predicted accuracy of everything it looked at within max_latency_s, ascending
// in latency. On the calling thread; the result depends on the arguments alone. Throws as evolve_rows().
[[nodiscard]] std::vector<Candidate> evolve(const SearchSpace& space, const LatencyFn& latency,
                                            const AccuracyPredictor& predictor,
                                            std::span<const SubnetConfig> seeds,
                                            const EvolutionOptions& options, std::uint64_t seed, Job& job);

}  // namespace dsn

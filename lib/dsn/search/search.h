// SPDX-License-Identifier: Apache-2.0
// Searching a trained super-network for the levels of a family: few real evaluations, a predictor fitted to
// them, evolution on the predictor and a LUT, and levels chosen only among sub-networks that were really
// evaluated. No LibTorch: accuracy comes from a callback.
//
// Everything runs on the calling thread in a fixed order: the same arguments and the same evaluations give
// the same result, bit for bit.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/profile/lut.h"
#include "dsn/search/evolution.h"
#include "dsn/search/family.h"

namespace dsn {

// Top-1 accuracy, fraction, of each sub-network with calibrated batch norm, in order; the same whenever
// asked. final: the levels are chosen by it, so it shall be the careful kind (the whole validation split);
// else it only guides, and may be quicker.
using EvaluateFn = std::function<std::vector<double>(const std::vector<SubnetConfig>& configs, bool final)>;

// What is fitted to the evaluated sub-networks between rounds: RidgePredictor or MlpPredictor.
enum class Guide { ridge, mlp };

struct SearchOptions {
  int levels = 6;
  int samples = 28;                     // evaluated before the first fit
  int rounds = 2;                       // of: fit, evolve, evaluate points of the predicted front
  int per_round = 10;                   // evaluated in each
  int finalists = 16;                   // of the evaluated front, evaluated again with `final`
  std::optional<double> max_latency_s;  // predicted from the LUT
  std::optional<double> min_accuracy;
  // Levels closer in latency than this (relative), or than levels in the LUT scatter, are one level.
  double noise = 0.05;
  // Latency is the worst of the point's and these, and levels are spread over the latencies at each of them.
  std::vector<OperatingPoint> worst_over;
  // With mlp each round evaluates, of the predicted front, where its networks disagree most.
  Guide guide = Guide::ridge;
  std::uint64_t seed = 1;
  EvolutionOptions evolution;  // max_latency_s is set by the search
  std::string accuracy_on;     // what EvaluateFn evaluates on: "fashion-mnist/val, n=5000"
};

// A sub-network that the search looked at closely: evaluated, or on the last predicted front.
struct SearchPoint {
  SubnetConfig config;
  double latency_s = 0;  // from the LUT's units, the worst of all points
  std::optional<double>
      predicted_accuracy;                // by the last predictor; nothing when there were too few to fit one
  std::optional<double> accuracy;        // evaluated to guide
  std::optional<double> final_accuracy;  // evaluated with `final`
  std::int64_t macs = 0;
  bool on_front = false;  // no evaluated sub-network dominates it
};

struct SearchResult {
  OperatingPoint point;  // the LUT's point that latencies are at
  double noise = 0;      // below which levels are one
  Guide guide = Guide::ridge;
  std::vector<SearchPoint> points;  // ascending latency
  std::vector<Level>
      levels;  // strictly ascending latency and accuracy; accuracy and val_accuracy both the final one
  PredictorQuality quality;  // of the last predictor; count 0 when there was none
  int evaluations = 0, final_evaluations = 0;
  std::vector<std::string> warnings;
};

// Throws Error{infeasible} naming the nearest sub-network when nothing meets max_latency_s or min_accuracy,
// Error{mismatch} when `lut` is of another space, Error{not_found} naming a unit or point that it lacks,
// Error{bad_usage} for options out of range, Error{failed} when `evaluate` does not answer with one fraction
// per sub-network.
[[nodiscard]] SearchResult run_search(const SearchSpace& space, const Lut& lut, const OperatingPoint& point,
                                      const EvaluateFn& evaluate, const SearchOptions& options, Job& job);

// {"search": ..., "front": [...]}, to be merged into a dsn.family document.
[[nodiscard]] Json to_json(const SearchResult& result, const SearchSpace& space);

}  // namespace dsn

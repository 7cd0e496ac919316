// SPDX-License-Identifier: Apache-2.0
// Making a predictor: choosing sub-networks, evaluating them, training on what they reached.
#pragma once

#include <vector>

#include "dsn/core/job.h"
#include "dsn/search/mlp_predictor.h"
#include "dsn/search/search.h"

namespace dsn {

struct FittedPredictor {
  MlpPredictor predictor;    // of all sub-networks
  PredictorQuality quality;  // of its like on sub-networks held out
  PredictorQuality ridge;    // of a RidgePredictor on the same, for comparison
  std::vector<SubnetConfig> configs;
  std::vector<double> accuracy;  // as evaluated
};

// Chooses `samples` sub-networks as initial_sample() does (extremes, then spread over the logarithm of
// `cost`), evaluates them all with care and trains on them. The same arguments and accuracies give the same
// result. Throws Error{bad_usage} for fewer than 10 samples or a space that has not as many, and as
// run_search() for what `evaluate` answers.
[[nodiscard]] FittedPredictor fit_predictor(const SearchSpace& space, const LatencyFn& cost,
                                            const EvaluateFn& evaluate, int samples, std::uint64_t seed,
                                            Job& job);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/fit_predictor.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/search/sampling.h"

namespace dsn {
namespace {

constexpr int kFolds = 5, kLeast = 10;

}  // namespace

FittedPredictor fit_predictor(const SearchSpace& space, const LatencyFn& cost, const EvaluateFn& evaluate,
                              int samples, std::uint64_t seed, Job& job) {
  std::vector<SubnetConfig> configs;
  if (samples >= kLeast)
    configs = initial_sample(space, cost, static_cast<std::size_t>(samples),
                             std::numeric_limits<double>::infinity(), seed);
  if (configs.size() < static_cast<std::size_t>(kLeast)) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("a predictor needs at least {} sub-networks, found {} of {}", kLeast,
                            configs.size(), samples));
  }
  std::vector<double> accuracy = evaluate(configs, true);
  if (accuracy.size() != configs.size()) {
    throw Error(ErrorCode::failed, fmt::format("evaluation of {} sub-networks gave {} accuracies",
                                               configs.size(), accuracy.size()));
  }
  job.begin("train predictor", kFolds + 1);
  int done = 0;
  const auto train = [&](std::span<const SubnetConfig> part, std::span<const double> of_part) {
    job.check_stop();
    MlpPredictor fitted = MlpPredictor::fit(space, part, of_part, seed);
    job.advance(++done);
    return fitted;
  };
  const PredictorQuality quality = held_out_quality(
      configs, accuracy, kFolds, seed,
      [&](auto part, auto of_part) { return std::make_unique<MlpPredictor>(train(part, of_part)); });
  PredictorQuality ridge;
  (void)RidgePredictor::fit(space, configs, accuracy, kFolds, seed, ridge);
  MlpPredictor all = train(configs, accuracy);
  job.end();
  return {std::move(all), quality, ridge, std::move(configs), std::move(accuracy)};
}

}  // namespace dsn

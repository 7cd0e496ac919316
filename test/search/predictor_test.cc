// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/predictor.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "dsn/core/stats.h"
#include "fakes/tiny_space.h"
#include "synthetic.h"

using dsn::PredictorQuality;
using dsn::RidgePredictor;
using dsn::SubnetConfig;
using dsn::fakes::code_of;
using dsn::fakes::synthetic_accuracy;

namespace {

struct Sample {
  std::vector<SubnetConfig> configs;
  std::vector<double> accuracy;
};

Sample draw(const dsn::SearchSpace& space, std::size_t count, std::uint64_t seed) {
  Sample sample;
  dsn::Rng rng(seed);
  for (std::size_t i = 0; i < count; ++i) {
    sample.configs.push_back(space.sample(rng));
    sample.accuracy.push_back(synthetic_accuracy(space, sample.configs.back()));
  }
  return sample;
}

}  // namespace

TEST_CASE("RidgePredictor: forty sub-networks are enough to rank others they have not seen") {
  for (const char* name : {"fmnist-mbv3", "ofa-mbv3"}) {
    const dsn::SearchSpace space = dsn::SearchSpace::load(name);
    const Sample train = draw(space, 40, 1), test = draw(space, 200, 2);
    PredictorQuality quality;
    const RidgePredictor predictor = RidgePredictor::fit(space, train.configs, train.accuracy, 5, 1, quality);
    std::vector<double> predicted;
    double error = 0, spread = 0;
    for (std::size_t i = 0; i < test.configs.size(); ++i) {
      predicted.push_back(predictor.predict(test.configs[i]));
      error += std::abs(predicted.back() - test.accuracy[i]);
      spread += std::abs(dsn::mean(train.accuracy) - test.accuracy[i]);
    }
    CHECK(dsn::kendall_tau(predicted, test.accuracy) > 0.75);
    CHECK(error < 0.4 * spread);
    CHECK(quality.count == 40);
    CHECK(quality.folds == 5);
    CHECK(quality.kendall_tau > 0.6);
    CHECK(quality.mae < 2 * error / 200 + 1e-4);
  }
}

TEST_CASE("RidgePredictor: the quality it reports is of sub-networks left out: on pure noise there is none") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("ofa-mbv3");
  Sample sample = draw(space, 40, 1);
  dsn::Rng rng(9);
  double spread = 0;
  for (double& accuracy : sample.accuracy) accuracy = 0.9 + 0.01 * rng.normal();
  for (const double accuracy : sample.accuracy)
    spread += std::abs(accuracy - dsn::mean(sample.accuracy)) / 40;
  PredictorQuality quality;
  (void)RidgePredictor::fit(space, sample.configs, sample.accuracy, 5, 1, quality);
  CHECK(quality.kendall_tau < 0.35);
  CHECK(quality.mae > 0.8 * spread);
}

TEST_CASE("RidgePredictor: the same input gives the same bits") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const Sample sample = draw(space, 20, 1);
  PredictorQuality first, second;
  const RidgePredictor a = RidgePredictor::fit(space, sample.configs, sample.accuracy, 5, 3, first);
  const RidgePredictor b = RidgePredictor::fit(space, sample.configs, sample.accuracy, 5, 3, second);
  for (const SubnetConfig& config : dsn::fakes::enumerate(space))
    CHECK(a.predict(config) == b.predict(config));
  CHECK(first.mae == second.mae);
  CHECK(first.kendall_tau == second.kendall_tau);
}

TEST_CASE("RidgePredictor: a constant accuracy is predicted everywhere") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  Sample sample = draw(space, 10, 1);
  for (double& accuracy : sample.accuracy) accuracy = 0.9;
  const RidgePredictor predictor = RidgePredictor::fit(space, sample.configs, sample.accuracy);
  for (const SubnetConfig& config : dsn::fakes::enumerate(space))
    CHECK(predictor.predict(config) == doctest::Approx(0.9));
}

TEST_CASE("RidgePredictor: too few sub-networks and accuracies that are no numbers are refused") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  Sample sample = draw(space, 3, 1);
  CHECK(code_of([&] { (void)RidgePredictor::fit(space, sample.configs, sample.accuracy); }, "found 3") ==
        dsn::ErrorCode::bad_usage);
  sample = draw(space, 10, 1);
  sample.accuracy[4] = std::numeric_limits<double>::quiet_NaN();
  CHECK(code_of([&] { (void)RidgePredictor::fit(space, sample.configs, sample.accuracy); }, "nan") ==
        dsn::ErrorCode::bad_input);
}

TEST_CASE("RidgePredictor: with too few for folds it is fitted, but its quality is not claimed") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const Sample sample = draw(space, 4, 1);
  PredictorQuality quality;
  (void)RidgePredictor::fit(space, sample.configs, sample.accuracy, 5, 1, quality);
  CHECK(quality.folds == 0);
  CHECK(quality.count == 4);
}

// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/mlp_predictor.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <vector>

#include "dsn/core/safetensors.h"
#include "dsn/core/stats.h"
#include "dsn/search/fit_predictor.h"
#include "fakes/temp_folder.h"
#include "fakes/tiny_space.h"
#include "synthetic.h"

using dsn::Gene;
using dsn::GeneSpace;
using dsn::MlpPredictor;
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

TEST_CASE("MlpPredictor: sixty sub-networks are enough to rank others; it doubts most what is unlike them") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("fmnist-mbv3");
  const Sample train = draw(space, 60, 1), test = draw(space, 200, 2);
  const MlpPredictor predictor = MlpPredictor::fit(space, train.configs, train.accuracy, 1);
  std::vector<double> predicted;
  double error = 0, spread = 0, doubt = 0;
  for (std::size_t i = 0; i < test.configs.size(); ++i) {
    predicted.push_back(predictor.predict(test.configs[i]));
    error += std::abs(predicted.back() - test.accuracy[i]);
    spread += std::abs(dsn::mean(train.accuracy) - test.accuracy[i]);
    doubt += predictor.disagreement(test.configs[i]) / 200;
  }
  CHECK(dsn::kendall_tau(predicted, test.accuracy) > 0.75);
  CHECK(error < 0.4 * spread);
  double known = 0;
  for (const SubnetConfig& config : train.configs) known += predictor.disagreement(config) / 60;
  CHECK(doubt > known);
  CHECK(predictor.disagreement(space.smallest()) > known);  // no draw comes near it
}

TEST_CASE("MlpPredictor: the same input gives the same bits, one by one, many at once and from its file") {
  for (const char* name : {"fmnist-mbv3", "fmnist-slimmable"}) {
    const dsn::SearchSpace space = dsn::SearchSpace::load(name);
    const Sample sample = draw(space, 12, 1);
    const MlpPredictor predictor = MlpPredictor::fit(space, sample.configs, sample.accuracy, 3);
    const MlpPredictor again = MlpPredictor::fit(space, sample.configs, sample.accuracy, 3);
    const dsn::fakes::TempFolder temp;
    predictor.save(temp / "p.safetensors", {{"trained_on", "a formula"}});
    CHECK(dsn::TensorFile::open(temp / "p.safetensors").metadata().at("trained_on") == "a formula");
    const dsn::OpenedPredictor opened = dsn::open_predictor(temp / "p.safetensors", space);
    CHECK(opened.resolutions == space.resolutions());
    const MlpPredictor read = MlpPredictor::open(temp / "p.safetensors", space);

    // Rows of one resolution only: places of inputs are those of the whole space.
    const GeneSpace genes(space, {space.resolutions().back()});
    dsn::Rng rng(4);
    constexpr std::size_t kCount = 70;  // more than one pass
    std::vector<Gene> rows(kCount * genes.size());
    for (std::size_t i = 0; i < kCount; ++i) genes.draw(rng, rows.data() + i * genes.size());
    std::vector<double> many(kCount);
    opened.predictor->rows(genes)->values(rows.data(), kCount, many.data());
    for (std::size_t i = 0; i < kCount; ++i) {
      const SubnetConfig config = genes.config(rows.data() + i * genes.size());
      CHECK(predictor.predict(config) == many[i]);
      CHECK(again.predict(config) == many[i]);
      CHECK(read.disagreement(config) == predictor.disagreement(config));
    }
  }
}

TEST_CASE("MlpPredictor: a file of another space, and too few samples, are refused by name") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space(), other = dsn::SearchSpace::load("fmnist-mbv3");
  Sample sample = draw(space, 10, 1);
  const dsn::fakes::TempFolder temp;
  MlpPredictor::fit(space, sample.configs, sample.accuracy, 1).save(temp / "p.safetensors", {});
  CHECK(code_of([&] { (void)dsn::open_predictor(temp / "p.safetensors", other); }, "fmnist-mbv3") ==
        dsn::ErrorCode::mismatch);
  sample = draw(space, 3, 1);
  CHECK(code_of([&] { (void)MlpPredictor::fit(space, sample.configs, sample.accuracy, 1); }, "found 3") ==
        dsn::ErrorCode::bad_usage);
}

TEST_CASE(
    "fit_predictor: evaluates as many as asked for, once each, and says how good it is on those held out") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("fmnist-mbv3");
  const dsn::LatencyFn cost = [&](const SubnetConfig& config) {
    return static_cast<double>(dsn::make_network(space, config).macs());
  };
  std::set<SubnetConfig, dsn::ConfigLess> asked;
  const dsn::EvaluateFn evaluate = [&](const std::vector<SubnetConfig>& configs, bool) {
    std::vector<double> accuracy;
    for (const SubnetConfig& config : configs) {
      CHECK(asked.insert(config).second);
      accuracy.push_back(synthetic_accuracy(space, config));
    }
    return accuracy;
  };
  const dsn::FittedPredictor fitted = dsn::fit_predictor(space, cost, evaluate, 60, 1, dsn::silent_job());
  CHECK(asked.size() == 60);
  CHECK(fitted.configs.size() == 60);
  CHECK(fitted.quality.count == 60);
  CHECK(fitted.quality.folds == 5);
  CHECK(fitted.quality.kendall_tau > 0.7);
  CHECK(fitted.ridge.kendall_tau > 0.7);
  CHECK(fitted.predictor.predict(space.largest()) ==
        doctest::Approx(synthetic_accuracy(space, space.largest())).epsilon(0.01));
  CHECK(code_of([&] { (void)dsn::fit_predictor(space, cost, evaluate, 9, 1, dsn::silent_job()); },
                "found 0 of 9") == dsn::ErrorCode::bad_usage);
}

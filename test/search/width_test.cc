// SPDX-License-Identifier: Apache-2.0
// Elastic width and stem are choices like any other to sampling, prediction and evolution.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "dsn/search/evolution.h"
#include "dsn/search/predictor.h"
#include "dsn/search/sampling.h"
#include "fakes/tiny_space.h"
#include "synthetic.h"

namespace {

using dsn::SubnetConfig;

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

struct Formula : dsn::AccuracyPredictor {
  explicit Formula(const dsn::SearchSpace& of) : space(of) {}
  [[nodiscard]] double predict(const SubnetConfig& config) const override {
    return dsn::fakes::synthetic_accuracy(space, config);
  }
  const dsn::SearchSpace& space;
};

dsn::LatencyFn latency_of(const dsn::SearchSpace& space) {
  return [&space](const SubnetConfig& config) {
    double sum = 0;
    for (const dsn::Unit& unit : dsn::make_network(space, config).units)
      sum += dsn::fakes::unit_formula(unit);
    return sum;
  };
}

// Bottlenecks of which only the widths and the stem are elastic.
dsn::SearchSpace widths_only() {
  dsn::Json document = dsn::SearchSpace::load("ofa-resnet50").document();
  document["resolutions"] = {128};
  for (dsn::Json& stage : document["stages"]) {
    stage["depth"] = {2};
    stage["expand"] = {0.25};
  }
  return dsn::SearchSpace::parse(document, "widths.json");
}

}  // namespace

TEST_CASE("initial_sample: where only one width is elastic, every ratio is drawn") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("fmnist-slimmable");
  const auto sample = dsn::initial_sample(space, latency_of(space), 20, kNoLimit, 1);
  std::set<double> ratios;
  for (const SubnetConfig& config : sample) ratios.insert(config.w.at(0));
  CHECK(ratios.size() == space.width().size());
  CHECK(sample.size() == space.width().size());
}

TEST_CASE("evolve: where only one width is elastic, the front is every ratio") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("fmnist-slimmable");
  const Formula accuracy(space);
  const auto front = dsn::evolve(space, latency_of(space), accuracy, {}, {8, 60, 0.5}, 1, dsn::silent_job());
  // More MACs are both slower and better by the formulas, and each ratio has its own.
  CHECK(front.size() == space.width().size());
}

TEST_CASE("evolve: finds widths and stem that no seed had") {
  const dsn::SearchSpace space = widths_only();
  const Formula accuracy(space);
  const std::vector<SubnetConfig> seeds = {space.smallest()};
  const auto front =
      dsn::evolve(space, latency_of(space), accuracy, seeds, {32, 1200, 0.1}, 1, dsn::silent_job());
  CHECK(front.front().config == space.smallest());
  CHECK(front.back().config == space.largest());
  CHECK(front.size() > 20);
}

TEST_CASE("RidgePredictor: learns what widths and stem do to accuracy") {
  const dsn::SearchSpace space = widths_only();
  const auto accuracy = [](const SubnetConfig& config) {
    return 0.7 + 0.05 * config.w[0] - 0.03 * config.w[5] + 0.02 * config.s;
  };
  dsn::Rng rng(3);
  std::vector<SubnetConfig> configs;
  std::vector<double> measured;
  for (int i = 0; i < 80; ++i) {
    configs.push_back(space.sample(rng));
    measured.push_back(accuracy(configs.back()));
  }
  const auto predictor = dsn::RidgePredictor::fit(space, configs, measured);
  for (int i = 0; i < 50; ++i) {
    const SubnetConfig unseen = space.sample(rng);
    CHECK(std::abs(predictor.predict(unseen) - accuracy(unseen)) < 0.002);
  }
}

TEST_CASE("ConfigLess: sub-networks that differ in width or stem alone are different") {
  const dsn::SearchSpace space = widths_only();
  SubnetConfig narrow = space.largest(), plain_stem = space.largest();
  narrow.w[3] = 0.8;
  plain_stem.s = 0;
  const std::set<SubnetConfig, dsn::ConfigLess> set = {space.largest(), narrow, plain_stem, space.largest()};
  CHECK(set.size() == 3);
}

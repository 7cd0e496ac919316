// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/evolution.h"

#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "dsn/search/pareto.h"
#include "dsn/search/sampling.h"
#include "fakes/tiny_space.h"
#include "synthetic.h"

using dsn::Candidate;
using dsn::EvolutionOptions;
using dsn::ParetoPoint;
using dsn::SubnetConfig;
using dsn::fakes::code_of;

namespace {

class Formula : public dsn::AccuracyPredictor {
 public:
  explicit Formula(const dsn::SearchSpace& space) : space_(space) {}
  [[nodiscard]] double predict(const SubnetConfig& config) const override {
    ++calls;
    return dsn::fakes::synthetic_accuracy(space_, config);
  }
  mutable int calls = 0;

 private:
  const dsn::SearchSpace& space_;
};

dsn::LatencyFn latency_of(const dsn::SearchSpace& space) {
  return [&space](const SubnetConfig& config) {
    double sum = 0;
    for (const dsn::Unit& unit : dsn::make_network(space, config).units)
      sum += dsn::fakes::unit_formula(unit);
    return sum;
  };
}

std::vector<ParetoPoint> points_of(const std::vector<Candidate>& candidates) {
  std::vector<ParetoPoint> points;
  for (const Candidate& c : candidates) points.push_back({c.latency_s, c.accuracy});
  return points;
}

std::vector<ParetoPoint> everything(const dsn::SearchSpace& space) {
  std::vector<ParetoPoint> points;
  for (const SubnetConfig& config : dsn::fakes::enumerate(space)) {
    points.push_back({latency_of(space)(config), dsn::fakes::synthetic_accuracy(space, config)});
  }
  return points;
}

bool same(const std::vector<Candidate>& a, const std::vector<Candidate>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(a[i].config == b[i].config) || a[i].latency_s != b[i].latency_s || a[i].accuracy != b[i].accuracy)
      return false;
  }
  return true;
}

}  // namespace

TEST_CASE("evolve: finds nearly the whole true front after looking at a third of the space") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const Formula predictor(space);
  EvolutionOptions options;
  options.population = 32;
  options.evaluations = 260;
  const auto front = dsn::evolve(space, latency_of(space), predictor,
                                 std::vector<SubnetConfig>{space.smallest(), space.largest()}, options, 1,
                                 dsn::silent_job());
  CHECK(predictor.calls <= 260);
  const auto all = everything(space);
  ParetoPoint reference{0, 1};
  for (const ParetoPoint& point : all) {
    reference.cost = std::max(reference.cost, point.cost);
    reference.value = std::min(reference.value, point.value);
  }
  const double found = dsn::hypervolume(points_of(front), reference), best = dsn::hypervolume(all, reference);
  CHECK(found <= best * (1 + 1e-12));
  CHECK(found > 0.99 * best);
}

TEST_CASE("evolve: the result is a front, ascending, of sub-networks as they are") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("fmnist-mbv3");
  const Formula predictor(space);
  EvolutionOptions options;
  options.evaluations = 600;
  const auto front = dsn::evolve(space, latency_of(space), predictor, {}, options, 1, dsn::silent_job());
  REQUIRE(front.size() > 3);
  for (std::size_t i = 0; i < front.size(); ++i) {
    CHECK(front[i].config == space.canonical(front[i].config));
    CHECK(front[i].latency_s == latency_of(space)(front[i].config));
    CHECK(front[i].accuracy == dsn::fakes::synthetic_accuracy(space, front[i].config));
    if (i > 0)
      CHECK((front[i].latency_s > front[i - 1].latency_s && front[i].accuracy > front[i - 1].accuracy));
  }
}

TEST_CASE("evolve: beats as many random sub-networks on the Once-for-All space") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("ofa-mbv3");
  const Formula predictor(space);
  const auto latency = latency_of(space);
  EvolutionOptions options;
  options.evaluations = 1500;
  const auto front = dsn::evolve(space, latency, predictor, {}, options, 1, dsn::silent_job());
  std::vector<ParetoPoint> random;
  dsn::Rng rng(1);
  for (int i = 0; i < 1500; ++i) {
    const SubnetConfig config = space.sample(rng);
    random.push_back({latency(config), predictor.predict(config)});
  }
  const ParetoPoint reference{latency(space.largest()), 0.88};
  CHECK(dsn::hypervolume(points_of(front), reference) > 1.01 * dsn::hypervolume(random, reference));
}

TEST_CASE("evolve: nothing over the latency limit, and the best within it") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const Formula predictor(space);
  const auto all = everything(space);
  EvolutionOptions options;
  options.evaluations = 400;
  options.max_latency_s = 0.5 * (latency_of(space)(space.smallest()) + latency_of(space)(space.largest()));
  const auto front = dsn::evolve(space, latency_of(space), predictor,
                                 std::vector<SubnetConfig>{space.smallest()}, options, 1, dsn::silent_job());
  double best = 0;
  for (const ParetoPoint& point : all) {
    if (point.cost <= options.max_latency_s) best = std::max(best, point.value);
  }
  REQUIRE(!front.empty());
  CHECK(front.back().latency_s <= options.max_latency_s);
  CHECK(front.back().accuracy > best - 1e-4);
}

TEST_CASE("evolve: depends on its seed alone, and ends when the space is used up") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const Formula predictor(space);
  EvolutionOptions options;
  options.evaluations = 200;
  const auto run = [&](std::uint64_t seed) {
    return dsn::evolve(space, latency_of(space), predictor, {}, options, seed, dsn::silent_job());
  };
  CHECK(same(run(1), run(1)));
  CHECK(!same(run(1), run(2)));
  options.evaluations = 100000;
  const Formula counted(space);
  (void)dsn::evolve(space, latency_of(space), counted, {}, options, 1, dsn::silent_job());
  CHECK(counted.calls <= 800);
}

TEST_CASE("evolve: several starts look at nothing twice, use what they may, and end in one front") {
  const dsn::SearchSpace ofa = dsn::SearchSpace::load("ofa-mbv3");
  const Formula predictor(ofa);
  EvolutionOptions options;
  options.evaluations = 1500;
  options.starts = 3;
  const auto run = [&] {
    return dsn::evolve(ofa, latency_of(ofa), predictor, {}, options, 1, dsn::silent_job());
  };
  const auto front = run();
  CHECK(predictor.calls == 1500);
  for (std::size_t i = 1; i < front.size(); ++i)
    CHECK((front[i].latency_s > front[i - 1].latency_s && front[i].accuracy > front[i - 1].accuracy));
  CHECK(same(front, run()));

  // All of a space that can be enumerated, whoever looked first.
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const Formula counted(space);
  options.evaluations = 5000;
  const auto whole = dsn::evolve(space, latency_of(space), counted, {}, options, 1, dsn::silent_job());
  CHECK(counted.calls <= 800);
  const auto all = everything(space);
  CHECK(whole.size() == dsn::pareto_front(all).size());
}

TEST_CASE("evolve: options out of range are refused") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const Formula predictor(space);
  const auto run = [&](EvolutionOptions options) {
    return [&, options] {
      (void)dsn::evolve(space, latency_of(space), predictor, {}, options, 1, dsn::silent_job());
    };
  };
  CHECK(code_of(run({1, 100, 0.1}), "population 1") == dsn::ErrorCode::bad_usage);
  CHECK(code_of(run({64, 10, 0.1}), "10 evaluations") == dsn::ErrorCode::bad_usage);
  CHECK(code_of(run({64, 100, 2}), "mutation") == dsn::ErrorCode::bad_usage);
  EvolutionOptions many;
  many.evaluations = 100;
  many.starts = 3;
  CHECK(code_of(run(many), "starts: found 3") == dsn::ErrorCode::bad_usage);
}

TEST_CASE("fastest: no sub-network of that resolution is faster") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  // A device on which the larger kernel is the faster one.
  const dsn::LatencyFn odd = [&](const SubnetConfig& config) {
    double sum = 0;
    for (const dsn::Unit& unit : dsn::make_network(space, config).units) {
      sum += 1e-5 + (unit.kernel == 5 ? 1e-6 : 2e-6) * (unit.mid_channels % 3 + 1);
    }
    return sum;
  };
  for (const int resolution : space.resolutions()) {
    double least = 1;
    for (const SubnetConfig& config : dsn::fakes::enumerate(space)) {
      if (config.r == resolution) least = std::min(least, odd(config));
    }
    CHECK(odd(dsn::fastest(space, resolution, odd)) == doctest::Approx(least).epsilon(1e-12));
  }
}

TEST_CASE("initial_sample: distinct, with the extremes, spread over the range, within the limit") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("ofa-mbv3");
  const auto latency = latency_of(space);
  const double none = std::numeric_limits<double>::infinity();
  const auto sample = dsn::initial_sample(space, latency, 28, none, 1);
  CHECK(sample.size() == 28);
  const std::set<SubnetConfig, dsn::ConfigLess> distinct(sample.begin(), sample.end());
  CHECK(distinct.size() == 28);
  CHECK(distinct.count(space.largest()) == 1);
  CHECK(distinct.count(dsn::fastest(space, space.resolutions().front(), latency)) == 1);
  const double low = std::log(latency(space.smallest())), high = std::log(latency(space.largest()));
  std::set<int> fifths;
  for (const SubnetConfig& config : sample)
    fifths.insert(static_cast<int>(5 * (std::log(latency(config)) - low) / (high - low + 1e-9)));
  CHECK(fifths.size() == 5);
  CHECK(dsn::initial_sample(space, latency, 28, none, 1) == sample);

  const double tight = 1.2 * latency(space.smallest());
  const auto near = dsn::initial_sample(space, latency, 28, tight, 1);
  CHECK(near.size() == 28);
  for (const SubnetConfig& config : near) CHECK(latency(config) <= tight);
  CHECK(dsn::initial_sample(space, latency, 28, 0.5 * latency(space.smallest()), 1).empty());
}

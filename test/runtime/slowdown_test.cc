// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/slowdown.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "dsn/core/random.h"

using namespace dsn;

namespace {

constexpr double kNominal = 2e-3, kSpread = 0.02;

void feed(SlowdownEstimator& estimator, double ratio, int count, Rng& rng, double noise = 0.02) {
  for (int i = 0; i < count; ++i)
    estimator.observe(kNominal * ratio * (1 + noise * rng.normal()), kNominal, kSpread);
}

}  // namespace

TEST_CASE("SlowdownEstimator: settles on a steady ratio, and its sigma on the noise") {
  Rng rng(1);
  SlowdownEstimator estimator;
  feed(estimator, 1.4, 200, rng);
  CHECK(estimator.mean() == doctest::Approx(1.4).epsilon(0.03));
  CHECK(estimator.sigma() < 0.08);
  CHECK(estimator.sigma() > 0.015);
}

TEST_CASE("SlowdownEstimator: follows a step within a few inferences, up and down") {
  Rng rng(2);
  SlowdownEstimator estimator;
  feed(estimator, 1.0, 100, rng);
  feed(estimator, 2.5, 4, rng);
  CHECK(estimator.mean() == doctest::Approx(2.5).epsilon(0.1));
  feed(estimator, 2.5, 50, rng);
  feed(estimator, 1.0, 4, rng);
  CHECK(estimator.mean() == doctest::Approx(1.0).epsilon(0.15));
}

TEST_CASE("SlowdownEstimator: says when the machine has changed, and which way") {
  Rng rng(8);
  SlowdownEstimator estimator;
  feed(estimator, 1.0, 100, rng);
  const auto last_of = [&](double ratio) {
    int shift = 0;
    for (int i = 0; i < 3; ++i) shift = estimator.observe(kNominal * ratio, kNominal, kSpread);
    return shift;
  };
  CHECK(last_of(1.01) == 0);
  CHECK(last_of(2.5) == 1);
  feed(estimator, 2.5, 50, rng);
  CHECK(last_of(1.0) == -1);
}

TEST_CASE("SlowdownEstimator: follows a drift") {
  Rng rng(3);
  SlowdownEstimator estimator;
  for (int i = 0; i < 300; ++i) feed(estimator, 1 + 0.002 * i, 1, rng);
  CHECK(estimator.mean() == doctest::Approx(1.6).epsilon(0.05));
}

TEST_CASE("SlowdownEstimator: a single outlier hardly moves the mean, a lasting one does") {
  Rng rng(4);
  SlowdownEstimator estimator;
  feed(estimator, 1.0, 100, rng);
  feed(estimator, 10.0, 1, rng);
  CHECK(estimator.mean() < 1.15);
  feed(estimator, 1.0, 10, rng);
  CHECK(estimator.mean() == doctest::Approx(1.0).epsilon(0.05));
  feed(estimator, 30.0, 3, rng);
  CHECK(estimator.mean() > 25);
}

TEST_CASE("SlowdownEstimator: what the window knows as a tail takes longer to become the state") {
  Rng rng(7);
  SlowdownEstimator estimator;
  feed(estimator, 1.0, 100, rng);
  for (int i = 0; i < 3; ++i) {
    feed(estimator, 3.0, 1, rng);
    feed(estimator, 1.0, 8, rng);
  }
  feed(estimator, 3.0, 3, rng);
  CHECK(estimator.mean() < 1.5);
  feed(estimator, 3.0, 3, rng);
  CHECK(estimator.mean() == doctest::Approx(3).epsilon(0.1));
}

TEST_CASE("SlowdownEstimator: pre-emptions that come now and then stay in the tail, not in the mean") {
  Rng rng(5);
  SlowdownEstimator estimator;
  // One in ten is stopped for 4 ms, twice the latency.
  for (int i = 0; i < 400; ++i) {
    const double stopped_s = rng.uniform() < 0.1 ? 4e-3 : 0;
    estimator.observe(kNominal * (1 + 0.02 * rng.normal()) + stopped_s, kNominal, kSpread);
  }
  CHECK(estimator.mean() < 1.4);
  REQUIRE(estimator.tail_known());
  CHECK(estimator.tail_s(0.99) > 3e-3);
  CHECK(estimator.tail_s(0.99) < 4.5e-3);
  CHECK(estimator.tail_s(0.5) < 1e-3);
}

TEST_CASE("SlowdownEstimator: quantiles of the window are order statistics") {
  SlowdownEstimator estimator;
  CHECK_FALSE(estimator.tail_known());
  CHECK(estimator.tail_s(0.99) == 0);
  for (int i = 0; i < 40; ++i) estimator.observe(kNominal, kNominal, kSpread);
  CHECK(estimator.tail_known());
  CHECK(std::abs(estimator.tail_s(1.0)) < 1e-6);
  estimator.forget_tail();
  CHECK_FALSE(estimator.tail_known());
  CHECK(estimator.mean() == doctest::Approx(1.0).epsilon(1e-3));
}

TEST_CASE("SlowdownEstimator: probability falls with the latency and rises with the limit") {
  Rng rng(6);
  SlowdownEstimator estimator;
  feed(estimator, 1.5, 100, rng);
  CHECK(estimator.probability(2e-3, 3e-3) == doctest::Approx(0.5).epsilon(0.5));
  CHECK(estimator.probability(2e-3, 4e-3) > 0.999);
  CHECK(estimator.probability(2e-3, 2.5e-3) < 0.001);
}

TEST_CASE("SlowdownEstimator: values that mean nothing are ignored") {
  SlowdownEstimator estimator;
  estimator.observe(0, kNominal, kSpread);
  estimator.observe(1e-3, 0, kSpread);
  estimator.observe(std::numeric_limits<double>::quiet_NaN(), kNominal, kSpread);
  estimator.observe(std::numeric_limits<double>::infinity(), kNominal, kSpread);
  CHECK(estimator.observations() == 0);
  CHECK(estimator.mean() == 1);
}

TEST_CASE("normal_quantile: inverts the distribution") {
  CHECK(normal_quantile(0.5) == doctest::Approx(0).epsilon(1e-9));
  CHECK(normal_quantile(0.99) == doctest::Approx(2.326347874).epsilon(1e-8));
  CHECK(normal_quantile(0.001) == doctest::Approx(-3.090232306).epsilon(1e-8));
}

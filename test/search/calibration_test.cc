// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/calibration.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "dsn/core/random.h"
#include "synthetic.h"

using dsn::Calibration;
using dsn::fakes::code_of;

TEST_CASE("Calibration: through monotone points as they are, straight between them, nothing outside") {
  const std::vector<double> predicted{0.8, 0.7, 0.9}, measured{0.75, 0.71, 0.77};
  const Calibration map = Calibration::fit(predicted, measured);
  CHECK(map(0.7) == doctest::Approx(0.71));
  CHECK(map(0.8) == doctest::Approx(0.75));
  CHECK(map(0.85) == doctest::Approx(0.76));
  CHECK(map(0.9) == doctest::Approx(0.77));
  CHECK_FALSE(map(0.699).has_value());
  CHECK_FALSE(map(0.901).has_value());
  CHECK(map.quality().count == 3);
  CHECK(map.quality().bias == doctest::Approx((0.05 - 0.01 + 0.13) / 3));
  CHECK(map.quality().mae == doctest::Approx((0.05 + 0.01 + 0.13) / 3));
  CHECK(map.quality().kendall_tau == doctest::Approx(1));
}

TEST_CASE("Calibration: points in the wrong order share their mean, equal predictions too") {
  const std::vector<double> predicted{0.1, 0.2, 0.3, 0.4, 0.4}, measured{0.1, 0.5, 0.3, 0.6, 0.8};
  const Calibration map = Calibration::fit(predicted, measured);
  CHECK(map(0.2) == doctest::Approx(0.4));
  CHECK(map(0.25) == doctest::Approx(0.4));
  CHECK(map(0.3) == doctest::Approx(0.4));
  CHECK(map(0.4) == doctest::Approx(0.7));
}

TEST_CASE("Calibration: monotone, and no other monotone choice of the points' values is nearer") {
  dsn::Rng rng(7);
  for (int round = 0; round < 20; ++round) {
    std::vector<double> predicted, measured;
    for (int i = 0; i < 12; ++i) {
      predicted.push_back(0.5 + 0.03 * i);
      measured.push_back(0.4 + 0.02 * i + 0.1 * rng.uniform());
    }
    const Calibration map = Calibration::fit(predicted, measured);
    const auto error_of = [&](const std::vector<double>& values) {
      double sum = 0;
      for (std::size_t i = 0; i < values.size(); ++i) sum += std::pow(values[i] - measured[i], 2);
      return sum;
    };
    std::vector<double> fitted;
    for (const double x : predicted) fitted.push_back(*map(x));
    for (std::size_t i = 1; i < fitted.size(); ++i) CHECK(fitted[i] >= fitted[i - 1] - 1e-12);
    for (int tries = 0; tries < 200; ++tries) {
      std::vector<double> other = fitted;
      for (double& value : other) value += 0.01 * (rng.uniform() - 0.5);
      std::sort(other.begin(), other.end());
      CHECK(error_of(other) >= error_of(fitted) - 1e-12);
    }
  }
}

TEST_CASE("Calibration: too few points or no fractions are refused") {
  const std::vector<double> one{0.5, 0.5}, two{0.5, 0.6}, percent{50, 60};
  CHECK(code_of([&] { (void)Calibration::fit(one, two); }, "at least 2") == dsn::ErrorCode::bad_usage);
  CHECK(code_of([&] { (void)Calibration::fit(two, percent); }, "from 0 to 1") == dsn::ErrorCode::bad_usage);
}

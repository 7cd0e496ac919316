// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/correction.h"

#include <doctest/doctest.h>

#include <vector>

using dsn::common_drift;
using dsn::fit_correction;

TEST_CASE("fit_correction: recovers a scale and an offset") {
  const std::vector<double> sums = {0.001, 0.002, 0.004, 0.008, 0.003};
  std::vector<double> measured;
  for (const double sum : sums) measured.push_back(1.1 * sum + 3e-4);
  const auto fit = fit_correction(sums, measured);
  CHECK(fit.correction.scale == doctest::Approx(1.1));
  CHECK(fit.correction.offset_s == doctest::Approx(3e-4));
  CHECK(fit.correction.mape < 1e-9);
  CHECK(fit.correction.count == 5);
  CHECK(fit.kendall_tau == doctest::Approx(1));
}

TEST_CASE("fit_correction: the error is that of sub-networks which the fit has not seen") {
  // Alternating +-10 %: a fit to all is off by 10 %, and one that has not seen a point by more.
  std::vector<double> sums, measured;
  for (int i = 0; i < 6; ++i) {
    sums.push_back(0.001 * (i + 1));
    measured.push_back(sums.back() * (i % 2 == 0 ? 1.1 : 0.9));
  }
  const auto fit = fit_correction(sums, measured);
  double in_sample = 0;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const double all = fit.correction.scale * sums[i] + fit.correction.offset_s;
    in_sample += std::abs(all - measured[i]) / measured[i] / 6;
    CHECK(fit.held_out_s[i] != doctest::Approx(all));
  }
  CHECK(fit.correction.mape > in_sample);
}

TEST_CASE("fit_correction: one sub-network gives a scale, and its error is that of the plain sum") {
  const std::vector<double> sum = {0.001}, measured = {0.00125};
  const auto fit = fit_correction(sum, measured);
  CHECK(fit.correction.scale == doctest::Approx(1.25));
  CHECK(fit.correction.offset_s == 0);
  CHECK(fit.correction.mape == doctest::Approx(0.2));
}

TEST_CASE("fit_correction: equal sums or an absurd line fall back to a scale") {
  const auto equal = fit_correction(std::vector<double>{1, 1, 1, 1}, std::vector<double>{2, 2, 2, 2});
  CHECK(equal.correction.scale == doctest::Approx(2));
  CHECK(equal.correction.offset_s == 0);
  const auto falling = fit_correction(std::vector<double>{1, 2, 3}, std::vector<double>{3, 2, 1});
  CHECK(falling.correction.scale > 0);
  CHECK(falling.correction.offset_s == 0);
}

TEST_CASE("common_drift: one factor for all is found; prediction errors and small changes are not") {
  const std::vector<double> predicted = {0.001, 0.002, 0.004};
  const auto slower = common_drift(predicted, std::vector<double>{0.00119, 0.0024, 0.00484});
  REQUIRE(slower.has_value());
  CHECK(*slower == doctest::Approx(1.2));
  const auto faster = common_drift(predicted, std::vector<double>{0.0008, 0.0016, 0.0032});
  REQUIRE(faster.has_value());
  CHECK(*faster == doctest::Approx(0.8));
  CHECK_FALSE(common_drift(predicted, std::vector<double>{0.00104, 0.00208, 0.00416}));  // within tolerance
  CHECK_FALSE(common_drift(predicted, std::vector<double>{0.0012, 0.002, 0.0048}));      // not one factor
  CHECK_FALSE(common_drift(std::vector<double>{0.001}, std::vector<double>{0.002}));     // one alone
}

// SPDX-License-Identifier: Apache-2.0
// The processes whose rate moves, and recorded ones.
#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "dsn/core/stats.h"
#include "dsn/replay/arrivals.h"
#include "fixture.h"

namespace dsn::test {
namespace {

using doctest::Approx;

std::vector<double> times_of(const Arrivals& arrivals, double duration_s, std::uint64_t seed = 1) {
  TraceApp app = make_app("a", 1, 1, duration_s);
  app.phases[0].arrivals = arrivals;
  ArrivalStream stream(app, seed);
  std::vector<double> times;
  for (double at = stream.next(); at < duration_s; at = stream.next()) times.push_back(at);
  return times;
}

double count_between(const std::vector<double>& times, double from, double to) {
  return static_cast<double>(
      std::count_if(times.begin(), times.end(), [&](double t) { return t >= from && t < to; }));
}

}  // namespace

TEST_CASE("ArrivalStream: a ramp without variation comes at the inverse of its expected number") {
  Arrivals ramp;
  ramp.process = ArrivalProcess::ramp;
  ramp.from_hz = 0;
  ramp.to_hz = 10;
  ramp.cv2 = 0;
  const std::vector<double> times = times_of(ramp, 20);
  REQUIRE(times.size() >= 99);  // 0.25 t^2 = 100 at the end
  // 0.25 t^2 = n
  for (std::size_t n = 1; n <= 99; ++n)
    CHECK(times[n - 1] == Approx(2 * std::sqrt(static_cast<double>(n))).epsilon(1e-6));
  CHECK(ramp.period_at(10, 20) == Approx(0.2));
}

TEST_CASE("ArrivalStream: a ramp with variation has the rate of its line") {
  Arrivals ramp;
  ramp.process = ArrivalProcess::ramp;
  ramp.from_hz = 20;
  ramp.to_hz = 100;
  ramp.cv2 = 4;
  const std::vector<double> times = times_of(ramp, 400);
  CHECK(static_cast<double>(times.size()) == Approx(24000).epsilon(0.05));
  CHECK(count_between(times, 0, 100) == Approx(3000).epsilon(0.1));
  CHECK(count_between(times, 300, 400) == Approx(9000).epsilon(0.1));
}

TEST_CASE("ArrivalStream: a diurnal rate is highest at its peak and lowest half a day later") {
  Arrivals day;
  day.process = ArrivalProcess::diurnal;
  day.period_s = 0.05;
  day.swing = 0.8;
  day.day_s = 1000;
  day.peak_s = 500;
  const std::vector<double> times = times_of(day, 4000);
  CHECK(static_cast<double>(times.size()) == Approx(80000).epsilon(0.02));
  double peak = 0, trough = 0;
  for (double start = 0; start < 4000; start += 1000) {
    peak += count_between(times, start + 450, start + 550);
    trough += count_between(times, start, start + 50) + count_between(times, start + 950, start + 1000);
  }
  // Mean of cos over a tenth of a turn around its end: sin(0.1 pi) / (0.1 pi) = 0.9836.
  CHECK(peak == Approx(8000 * (1 + 0.8 * 0.9836)).epsilon(0.04));
  CHECK(trough == Approx(8000 * (1 - 0.8 * 0.9836)).epsilon(0.1));
  CHECK(day.period_at(500, 4000) == Approx(0.05 / 1.8));
}

TEST_CASE("ArrivalStream: mmpp has its mean rate, and more variation than Poisson") {
  Arrivals mmpp;
  mmpp.process = ArrivalProcess::mmpp;
  mmpp.rates_hz = {2, 50};
  mmpp.dwell_s = {5, 1};
  const std::vector<double> times = times_of(mmpp, 20000);
  CHECK(static_cast<double>(times.size()) == Approx(20000 * 10.0).epsilon(0.05));  // (2*5 + 50*1) / 6
  std::vector<double> counts;
  for (double start = 0; start < 20000; start += 10)
    counts.push_back(count_between(times, start, start + 10));
  double squares = 0;
  const double middle = mean(counts);
  for (const double count : counts) squares += (count - middle) * (count - middle);
  CHECK(squares / static_cast<double>(counts.size()) > 10 * middle);  // Poisson: equal
}

TEST_CASE("ArrivalStream: recorded arrivals come as they are, with their factors") {
  TraceApp app = make_app("a", 1, 1, 5);
  app.phases[0].start_s = 2;
  Arrivals& recorded = app.phases[0].arrivals;
  recorded.process = ArrivalProcess::recorded;
  recorded.times_s = {0, 0.5, 0.5, 4.9};
  recorded.factors = {1, 2, 3, 4};
  ArrivalStream stream(app, 9);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(stream.next() == Approx(2 + recorded.times_s[i]));
    CHECK(stream.factor() == recorded.factors[i]);
  }
  CHECK(stream.next() == ArrivalStream::kNone);
  CHECK(stream.factor() == 0);
}

}  // namespace dsn::test

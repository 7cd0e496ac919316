// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/arrivals.h"

#include <doctest/doctest.h>

#include <cmath>

#include "dsn/core/stats.h"
#include "fixture.h"

namespace dsn::test {
namespace {

std::vector<double> all(const TraceApp& app, std::uint64_t seed) {
  ArrivalStream stream(app, seed);
  std::vector<double> times;
  for (double t = stream.next(); t != ArrivalStream::kNone; t = stream.next()) times.push_back(t);
  return times;
}

TraceApp random_app(ArrivalProcess process, double period_s, double cv2, double duration_s) {
  TraceApp app = make_app("a", 1, period_s, duration_s);
  app.phases[0].arrivals.process = process;
  app.phases[0].arrivals.cv2 = cv2;
  return app;
}

}  // namespace

TEST_CASE("ArrivalStream: periodic arrivals start with the phase, end before it ends, and do not drift") {
  TraceApp app = make_app("a", 1, 1.0 / 30, 10);
  app.phases[0].start_s = 2;
  const std::vector<double> times = all(app, 1);
  REQUIRE(times.size() == 300);
  CHECK(times.front() == 2);
  CHECK(times.back() == doctest::Approx(12 - 1.0 / 30));
}

TEST_CASE("ArrivalStream: jitter delays within its bound and keeps the order") {
  TraceApp app = make_app("a", 1, 0.1, 100);
  app.phases[0].arrivals.jitter_s = 0.1;
  const std::vector<double> times = all(app, 1);
  CHECK(times.size() >= 999);
  double late = 0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    const double by = times[i] - 0.1 * static_cast<double>(i);
    CHECK(by >= 0);
    CHECK(by < 0.1);
    if (i > 0) CHECK(times[i] >= times[i - 1]);
    late += by;
  }
  CHECK(late / static_cast<double>(times.size()) == doctest::Approx(0.05).epsilon(0.1));
}

TEST_CASE(
    "ArrivalStream: Poisson and gamma gaps have the mean and the squared coefficient of variation asked "
    "for") {
  for (const double cv2 : {1.0, 0.25, 4.0}) {
    const ArrivalProcess process = cv2 == 1.0 ? ArrivalProcess::poisson : ArrivalProcess::gamma;
    const std::vector<double> times = all(random_app(process, 0.01, cv2, 1000), 3);
    std::vector<double> gaps;
    for (std::size_t i = 1; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
    const double m = mean(gaps);
    double variance = 0;
    for (const double gap : gaps) variance += (gap - m) * (gap - m);
    variance /= static_cast<double>(gaps.size());
    CHECK(m == doctest::Approx(0.01).epsilon(0.03));
    CHECK(variance / (m * m) == doctest::Approx(cv2).epsilon(0.06));
  }
}

TEST_CASE(
    "ArrivalStream: the same seed gives the same times, another seed others, and phases are independent") {
  TraceApp app = random_app(ArrivalProcess::poisson, 0.1, 1, 10);
  AppPhase second = app.phases[0];
  second.start_s = 10;
  app.phases.push_back(second);
  const std::vector<double> times = all(app, 5);
  CHECK(times == all(app, 5));
  CHECK(times != all(app, 6));
  // A change in the first phase leaves the second alone.
  app.phases[0].arrivals.period_s = 0.5;
  const std::vector<double> changed = all(app, 5);
  const auto after = [](const std::vector<double>& v) {
    std::vector<double> out;
    for (const double t : v) {
      if (t >= 10) out.push_back(t);
    }
    return out;
  };
  CHECK(after(times) == after(changed));
  CHECK(times != changed);
}

}  // namespace dsn::test

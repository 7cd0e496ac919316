// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/demand_evidence.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace dsn;

namespace {

constexpr double kP = 0.99, kSmall = 1e-3, kUnknown = -1;

bool blocked(DemandEvidence& evidence, double demand_s, double now_s, double load = kUnknown) {
  return demand_s >= evidence.ceiling(0, now_s, kP, load);
}

// Seconds until `demand_s` may be tried again.
double wait_for(DemandEvidence& evidence, double demand_s, double now_s) {
  double waited_s = 0;
  while (blocked(evidence, demand_s, now_s + waited_s) && waited_s < 100) waited_s += 0.01;
  return waited_s;
}

void fail(DemandEvidence& evidence, double demand_s, double now_s, double load = kUnknown) {
  evidence.missed(0, demand_s, now_s, load);
  evidence.climb_failed(0, demand_s, now_s);
}

}  // namespace

TEST_CASE("DemandEvidence: what failed blocks as much work and more, not less, and only at its placement") {
  DemandEvidence evidence;
  evidence.reset(kSmall);
  CHECK(std::isinf(evidence.ceiling(0, 0, kP, kUnknown)));
  fail(evidence, 2e-3, 0);
  CHECK(blocked(evidence, 2e-3, 0.1));
  CHECK(blocked(evidence, 8e-3, 0.1));
  CHECK_FALSE(blocked(evidence, 1.9e-3, 0.1));
  CHECK(std::isinf(evidence.ceiling(1, 0.1, kP, kUnknown)));
}

TEST_CASE("DemandEvidence: back-off doubles up to its bound, and what holds forgives") {
  DemandEvidence evidence;
  evidence.reset(kSmall);
  double now_s = 0;
  double last_s = 0;
  for (const double expected_s : {0.5, 1.0, 2.0, 4.0, 4.0}) {
    fail(evidence, 2e-3, now_s);
    last_s = wait_for(evidence, 2e-3, now_s);
    CHECK(last_s == doctest::Approx(expected_s).epsilon(0.1));
    now_s += 60;  // the misses themselves are forgotten
  }
  for (int i = 0; i < 4; ++i) evidence.climb_held(0, 2e-3, now_s);
  fail(evidence, 2e-3, now_s);
  CHECK(wait_for(evidence, 2e-3, now_s) < last_s);
}

TEST_CASE("DemandEvidence: a rate of misses above what is allowed vetoes, one accident does not") {
  DemandEvidence evidence;
  evidence.reset(kSmall);
  double now_s = 0;
  const auto serve = [&](int count) {
    for (int i = 0; i < count; ++i) evidence.kept(0, 2e-3, now_s += 5e-3, kP);
  };
  serve(50);
  evidence.missed(0, 2e-3, now_s, kUnknown);
  CHECK_FALSE(blocked(evidence, 2e-3, now_s));
  serve(30);
  evidence.missed(0, 2e-3, now_s, kUnknown);
  CHECK(blocked(evidence, 2e-3, now_s));
  CHECK_FALSE(blocked(evidence, 1.5e-3, now_s));
  CHECK(wait_for(evidence, 2e-3, now_s) < 10);
}

TEST_CASE("DemandEvidence: the same misses among many kept deadlines are within what is allowed") {
  DemandEvidence evidence;
  evidence.reset(kSmall);
  double now_s = 0;
  for (int i = 0; i < 1000; ++i) {
    evidence.kept(0, 2e-3, now_s += 5e-3, kP);
    if (i % 250 == 249) evidence.missed(0, 2e-3, now_s, kUnknown);
  }
  CHECK_FALSE(blocked(evidence, 2e-3, now_s));
}

TEST_CASE("DemandEvidence: others' load that has gone makes a failure void") {
  DemandEvidence evidence;
  evidence.reset(kSmall);
  fail(evidence, 2e-3, 0, 2.0);
  CHECK(blocked(evidence, 2e-3, 0.1, 2.0));
  CHECK(blocked(evidence, 2e-3, 0.1, kUnknown));
  CHECK(blocked(evidence, 2e-3, 0.1, 1.9));
  CHECK_FALSE(blocked(evidence, 2e-3, 0.1, 0.2));
}

TEST_CASE("DemandEvidence: reset forgets") {
  DemandEvidence evidence;
  evidence.reset(kSmall);
  fail(evidence, 2e-3, 0);
  fail(evidence, 500e-3, 0);  // beyond the last band: counted in it
  evidence.reset(kSmall);
  CHECK_FALSE(blocked(evidence, 600e-3, 0.1));
}

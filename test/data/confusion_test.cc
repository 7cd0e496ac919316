// SPDX-License-Identifier: Apache-2.0
#include "dsn/data/confusion.h"

#include <doctest/doctest.h>

#include "dsn/core/error.h"
#include "helpers.h"

namespace dsn::test {

TEST_CASE("ConfusionMatrix: recall goes along labels, precision along predictions") {
  ConfusionMatrix m(3);
  for (const auto& [label, predicted] : {std::pair{0, 0}, {0, 0}, {0, 1}, {1, 1}, {1, 0}})
    m.add(label, predicted);
  CHECK(m.total() == 5);
  CHECK(m.correct() == 3);
  CHECK(m.at(0, 1) == 1);
  CHECK(m.labelled(0) == 3);
  CHECK(m.predicted(0) == 3);
  CHECK(m.accuracy() == doctest::Approx(0.6));
  CHECK(m.recall(0) == doctest::Approx(2.0 / 3));
  CHECK(m.precision(1) == doctest::Approx(0.5));
  CHECK_FALSE(m.recall(2).has_value());
  CHECK_FALSE(m.precision(2).has_value());
  CHECK_FALSE(ConfusionMatrix(2).accuracy().has_value());
}

TEST_CASE("ConfusionMatrix: parts add up to the whole, whatever the order") {
  ConfusionMatrix whole(2), a(2), b(2);
  for (int i = 0; i < 20; ++i) {
    whole.add(i % 2, i % 3 == 0);
    (i < 7 ? a : b).add(i % 2, i % 3 == 0);
  }
  ConfusionMatrix ab = a, ba = b;
  ab += b;
  ba += a;
  CHECK(ab == whole);
  CHECK(ba == whole);
  CHECK_THROWS_AS(ab += ConfusionMatrix(3), Error);
}

TEST_CASE("ConfusionMatrix::add: a label or prediction outside is an error that names both") {
  ConfusionMatrix m(3);
  for (const auto& [label, predicted] : {std::pair{3, 0}, {0, 3}, {-1, 0}, {0, -1}}) {
    try {
      m.add(label, predicted);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::bad_input);
      CHECK(error.message().find("0 to 2") != std::string::npos);
    }
  }
  CHECK(m.total() == 0);
}

}  // namespace dsn::test

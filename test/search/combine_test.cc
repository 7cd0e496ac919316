// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/combine.h"

#include <doctest/doctest.h>

#include <set>
#include <utility>
#include <vector>

using dsn::combine_changes;
using dsn::GeneChange;
using dsn::ParetoPoint;

TEST_CASE("combine_changes: finds the two changes of which neither alone is better than the front") {
  const std::vector<ParetoPoint> front{{1.0, 0.5}, {2.0, 0.6}, {3.0, 0.7}};
  // The first saves time and costs accuracy, the second the other way round; together both win.
  const std::vector<GeneChange> changes{
      {4, 0, -0.5, -0.02}, {7, 2, 0.4, 0.05}, {9, 1, 0.8, 0.001}, {2, 1, 0.0, -0.09}};
  const auto found = combine_changes({2.0, 0.6}, changes, front, 3);
  REQUIRE(!found.empty());
  REQUIRE(found.front().size() == 2);
  CHECK(found.front()[0].gene == 4);
  CHECK(found.front()[0].to == 0);
  CHECK(found.front()[1].gene == 7);
  CHECK(found.front()[1].to == 2);
}

TEST_CASE("combine_changes: never two values for one gene, no set twice, at most as many as asked for") {
  const std::vector<ParetoPoint> front{{1.0, 0.5}, {2.0, 0.6}};
  std::vector<GeneChange> changes;
  for (std::size_t gene = 0; gene < 6; ++gene) {
    for (const int to : {1, 2}) changes.push_back({gene, static_cast<dsn::Gene>(to), -0.01 * to, 0.01});
  }
  const auto found = combine_changes({2.0, 0.6}, changes, front, 10);
  CHECK(found.size() == 10);
  std::set<std::vector<std::pair<std::size_t, int>>> known;
  for (const auto& set : found) {
    CHECK(set.size() >= 2);
    CHECK(set.size() <= 5);
    std::vector<std::pair<std::size_t, int>> key;
    for (std::size_t i = 0; i < set.size(); ++i) {
      if (i > 0) CHECK(set[i].gene > set[i - 1].gene);
      key.emplace_back(set[i].gene, set[i].to);
    }
    CHECK(known.insert(key).second);
  }
}

TEST_CASE("combine_changes: what is no better than the front is not proposed") {
  const std::vector<ParetoPoint> front{{1.0, 0.5}, {2.0, 0.6}};
  const std::vector<GeneChange> changes{{0, 1, 0.1, -0.01}, {1, 1, 0.2, -0.01}, {2, 1, 0.0, 0.0}};
  CHECK(combine_changes({2.0, 0.6}, changes, front, 10).empty());
  CHECK(combine_changes({2.0, 0.6}, {}, front, 10).empty());
}

// SPDX-License-Identifier: Apache-2.0
// The descriptions shipped under profiles/.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "dsn/core/file.h"
#include "dsn/platform/platform.h"

namespace {

dsn::Platform shipped(const std::string& name) {
  return dsn::load_platform(dsn::fs::path(DSN_SOURCE_ROOT) / "profiles" / (name + ".platform.json"));
}

}  // namespace

TEST_CASE("profiles: every platform file loads, and no number in it claims to be dsn's own measurement") {
  std::set<std::string> names;
  for (const auto& entry : dsn::fs::directory_iterator(dsn::fs::path(DSN_SOURCE_ROOT) / "profiles")) {
    const std::string file = entry.path().filename().string();
    if (file.find(".platform.json") == std::string::npos) continue;
    CAPTURE(file);
    const dsn::Platform platform = dsn::load_platform(entry.path());
    CHECK(names.insert(platform.name).second);
    CHECK(dsn::read_file(entry.path()).find("\"measured\"") == std::string::npos);
    for (const dsn::Cluster& cluster : platform.clusters) {
      CHECK(cluster.opps.size() >= 2);
      CHECK_FALSE(cluster.knob.empty());
      double before = 0;
      for (const dsn::Opp& opp : cluster.opps) {
        if (!opp.busy_power_w) continue;
        // The published 803 MHz of the Xavier NX lies a little above its neighbour.
        CHECK(*opp.busy_power_w > 0.99 * before);
        before = *opp.busy_power_w;
      }
    }
  }
  CHECK(names.size() == 5);
}

TEST_CASE("profiles: the Odroid has both clusters' powers and says which rows are published") {
  const dsn::Platform board = shipped("odroid-xu3");
  CHECK(board.power_known);
  REQUIRE(board.clusters.size() == 2);
  const dsn::Cluster& big = board.clusters[1];
  CHECK(big.opps.size() == 19);
  CHECK(board.clusters[0].opps.size() == 13);
  CHECK(big.cpus == std::vector<int>{4, 5, 6, 7});
  int published = 0;
  for (const dsn::Opp& opp : big.opps) published += opp.power_origin == dsn::Origin::published ? 1 : 0;
  CHECK(published == 9);
  CHECK(*big.opps[16].busy_power_w == doctest::Approx(5.2858));  // 1.8 GHz
  CHECK(big.opps[16].power_origin == dsn::Origin::published);
}

TEST_CASE("profiles: the Nano's GPU has powers, its CPU does not, so its energy is not known") {
  const dsn::Platform board = shipped("jetson-nano");
  CHECK_FALSE(board.power_known);
  CHECK(board.power_rail == "POM_5V_IN (board input)");
  CHECK(board.clusters[1].opps.back().busy_power_w.has_value());
  CHECK(board.modes.size() == 2);
}

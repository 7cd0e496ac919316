// SPDX-License-Identifier: Apache-2.0
// The data under profiles/ belongs together: what one of its files names, another has.
#include <doctest/doctest.h>

#include "dsn/platform/platform.h"
#include "dsn/profile/lut.h"
#include "dsn/search/family.h"
#include "dsn/space/network.h"

namespace {

const dsn::fs::path kProfiles = dsn::fs::path(DSN_SOURCE_ROOT) / "profiles";

}  // namespace

TEST_CASE("The published Dynamic-OFA family: space, counts and order are dsn's own") {
  const dsn::Family family = dsn::Family::load(kProfiles / "dynamic-ofa-xavier-nx.family.json");
  const dsn::SearchSpace space = dsn::SearchSpace::load("ofa-mbv3", 1.2);
  CHECK(family.space_sha256 == space.sha256());
  REQUIRE(family.levels.size() == 6);
  for (const dsn::Level& level : family.levels) {
    CAPTURE(level.id);
    const dsn::Network network = dsn::make_network(space, level.config);
    CHECK(level.macs == network.macs());
    CHECK(level.params == network.params());
    CHECK(level.accuracy_origin == dsn::Origin::published);
    CHECK(level.config == space.canonical(level.config));
  }
  CHECK(family.levels.front().accuracy == doctest::Approx(0.74202));
  CHECK(family.levels.back().accuracy == doctest::Approx(0.7903));
}

TEST_CASE(
    "The published Dynamic-OFA LUT: every level at every GPU frequency of the profile, published only at the "
    "highest") {
  const dsn::Platform nx = dsn::load_platform(kProfiles / "jetson-xavier-nx.platform.json");
  const dsn::Family family = dsn::Family::load(kProfiles / "dynamic-ofa-xavier-nx.family.json");
  const dsn::Lut lut = dsn::Lut::load(kProfiles / family.lut_file);
  CHECK(lut.platform_sha256 == nx.sha256);
  CHECK(lut.platform_document == nx.document);
  CHECK(lut.space_sha256 == family.space_sha256);
  CHECK(lut.energy_source.empty());
  const dsn::Cluster& gpu = nx.clusters[static_cast<std::size_t>(nx.cluster_index("gpu"))];
  double faster_level = 0;
  for (const dsn::Level& level : family.levels) {
    CAPTURE(level.id);
    double slower_clock = 1e9;
    for (const dsn::Opp& opp : gpu.opps) {
      const dsn::LutEntry* entry = lut.level_entry(level.config, {"gpu", 1, opp.freq_hz, 1});
      REQUIRE(entry != nullptr);
      CHECK(entry->latency_s < slower_clock);
      CHECK(entry->mad_s > 0);
      CHECK((entry->latency_origin == dsn::Origin::published) == (&opp == &gpu.opps.back()));
      slower_clock = entry->latency_s;
    }
    CHECK(slower_clock > faster_level);
    faster_level = slower_clock;
  }
  CHECK(faster_level == doctest::Approx(0.061735));
}

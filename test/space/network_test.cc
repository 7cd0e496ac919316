// SPDX-License-Identifier: Apache-2.0
#include "dsn/space/network.h"

#include <doctest/doctest.h>

#include <set>

namespace dsn {
namespace {

// ofa-mbv3 with the resolutions of the reference's test cases.
SearchSpace ofa(double width_mult, int classes, std::vector<int> resolutions) {
  Json doc = SearchSpace::load("ofa-mbv3").document();
  doc["classes"] = classes;
  doc["resolutions"] = std::move(resolutions);
  return SearchSpace::parse(doc, "ofa-mbv3", width_mult);
}

}  // namespace

TEST_CASE("Network::params: equals the reference implementation's count on eight sub-networks") {
  const Json data = read_json(fs::path(DSN_TEST_DATA) / "space/ofa-mbv3-counts.json");
  const SearchSpace space = ofa(0.25, 10, {48, 64, 96});
  REQUIRE(data["params"].size() == 8);
  for (const Json& row : data["params"]) {
    const SubnetConfig config = space.from_json(JsonView(row["config"], "counts"));
    CHECK(make_network(space, config).params() == row["params"].get<std::int64_t>());
  }
}

TEST_CASE("make_network: hand-counted units of the smallest Fashion-MNIST sub-network") {
  const SearchSpace space = SearchSpace::load("fmnist-mbv3");
  const Network net = make_network(space, space.smallest());
  REQUIRE(net.units.size() == 7);  // stem, first, three blocks, final expand, classifier
  CHECK(net.units[0].out_size == net.resolution);
  CHECK(net.units[0].macs() == std::int64_t{16} * 9 * net.resolution * net.resolution);
  CHECK(net.units[1].stride == 2);
  CHECK_FALSE(net.units[1].expands);
  const Unit& block = net.units[3];  // 24 -> 48 channels, stride 2, expand 2, kernel 3
  CHECK(block.mid_channels == 48);
  const std::int64_t in = block.in_size * block.in_size, out = block.out_size * block.out_size;
  CHECK(block.macs() == 24 * 48 * in + 48 * 9 * out + 48 * 48 * out);
  CHECK(block.params() == 24 * 48 + 2 * 48 + 48 * 9 + 2 * 48 + 48 * 48 + 2 * 48);
  CHECK_FALSE(block.residual);
  CHECK(net.units[2].residual);
  CHECK(net.units.back().params() == 384 * 10 + 10);
}

TEST_CASE("fmnist-mbv3: the largest sub-network has 10 to 15 MMACs, the smallest at most a fifth") {
  const SearchSpace space = SearchSpace::load("fmnist-mbv3");
  const auto largest = make_network(space, space.largest()).macs(),
             smallest = make_network(space, space.smallest()).macs();
  CHECK(largest >= 10'000'000);
  CHECK(largest <= 15'000'000);
  CHECK(largest >= 5 * smallest);
}

TEST_CASE("make_network: shapes chain, and the counts grow with every choice") {
  for (const std::string& name : SearchSpace::shipped()) {
    CAPTURE(name);
    const SearchSpace space = SearchSpace::load(name);
    Rng rng(11);
    for (int i = 0; i < 50; ++i) {
      const SubnetConfig config = space.sample(rng);
      const Network net = make_network(space, config);
      for (std::size_t u = 1; u < net.units.size(); ++u) {
        CHECK(net.units[u].in_channels == net.units[u - 1].out_channels);
        CHECK(net.units[u].in_size == net.units[u - 1].out_size);
      }
      const auto block = rng.below(static_cast<std::uint64_t>(space.block_count()));
      SubnetConfig larger = config;
      const StageSpace& stage =
          space.stages()[static_cast<std::size_t>(space.stage_of(static_cast<int>(block)))];
      larger.e[block] = stage.expand.back();
      larger.k[block] = stage.kernel.back();
      larger.w.assign(larger.w.size(), 1.0);
      CHECK(make_network(space, larger).macs() >= net.macs());
      CHECK(make_network(space, larger).params() >= net.params());
    }
  }
}

TEST_CASE("Unit::key: differs whenever the cost can differ") {
  const SearchSpace space = SearchSpace::load("ofa-mbv3");
  std::set<std::string> keys;
  SubnetConfig config = space.largest();
  const auto key_of_block = [&] { return make_network(space, config).units[2].key(); };
  keys.insert(key_of_block());
  config.k[0] = 5;
  keys.insert(key_of_block());
  config.e[0] = 4;
  keys.insert(key_of_block());
  config.r = 160;
  keys.insert(key_of_block());
  CHECK(keys.size() == 4);
}

}  // namespace dsn

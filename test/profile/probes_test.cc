// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/probes.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "dsn/core/error.h"
#include "fakes/tiny_space.h"

namespace {

std::set<std::string> keys_of(const dsn::SearchSpace& space, const std::vector<dsn::SubnetConfig>& configs) {
  std::set<std::string> keys;
  for (const dsn::SubnetConfig& config : configs) {
    for (const dsn::Unit& unit : dsn::make_network(space, config).units) keys.insert(unit.key());
  }
  return keys;
}

}  // namespace

TEST_CASE("unit_keys: the units of every sub-network, no more and no fewer") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  CHECK(dsn::unit_keys(space) == keys_of(space, dsn::fakes::enumerate(space)));
}

TEST_CASE("unit_keys: random sub-networks of the shipped spaces have no unit that is not listed") {
  for (const std::string& name : dsn::SearchSpace::shipped()) {
    const dsn::SearchSpace space = dsn::SearchSpace::load(name);
    CAPTURE(name);
    const std::set<std::string> all = dsn::unit_keys(space);
    dsn::Rng rng(3);
    for (int i = 0; i < 100; ++i) {
      for (const std::string& key : keys_of(space, {space.sample(rng)})) CHECK(all.count(key) == 1);
    }
  }
}

TEST_CASE("cover_units: few sub-networks have every unit") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const auto probes = dsn::cover_units(space, dsn::unit_keys(space), 0, 1);
  CHECK(keys_of(space, probes) == dsn::unit_keys(space));
  // The first block of a stage has four choices and one place per network: four at each of two resolutions is
  // the least there can be.
  CHECK(probes.size() == 8);

  const dsn::SearchSpace ofa = dsn::SearchSpace::load("ofa-mbv3");
  const auto many = dsn::cover_units(ofa, dsn::unit_keys(ofa), 0, 1);
  CHECK(keys_of(ofa, many) == dsn::unit_keys(ofa));
  CHECK(many.size() == 9 * ofa.resolutions().size());
}

TEST_CASE("cover_units: every width of elastic ones, and every pair of neighbouring widths") {
  const dsn::SearchSpace slimmable = dsn::SearchSpace::load("fmnist-slimmable");
  const auto probes = dsn::cover_units(slimmable, dsn::unit_keys(slimmable), 0, 1);
  CHECK(probes.size() == slimmable.width().size());  // nothing else is elastic
  CHECK(keys_of(slimmable, probes) == dsn::unit_keys(slimmable));

  dsn::Json document = dsn::SearchSpace::load("ofa-resnet50").document();
  document["resolutions"] = {64, 96};
  const dsn::SearchSpace resnet = dsn::SearchSpace::parse(document, "resnet.json");
  const std::set<std::string> all = dsn::unit_keys(resnet);
  const auto many = dsn::cover_units(resnet, all, 0, 1);
  CHECK(keys_of(resnet, many) == all);
  dsn::Rng rng(4);
  for (int i = 0; i < 200; ++i) {
    for (const std::string& key : keys_of(resnet, {resnet.sample(rng)})) CHECK(all.count(key) == 1);
  }
  CHECK(many.size() <= 2 * 9 * 3);  // resolutions, pairs of ratios, expand ratios
}

TEST_CASE("cover_units: depends on the seed alone, and adds random sub-networks up to the number asked for") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const auto keys = dsn::unit_keys(space);
  CHECK(dsn::cover_units(space, keys, 12, 5) == dsn::cover_units(space, keys, 12, 5));
  CHECK(dsn::cover_units(space, keys, 12, 5) != dsn::cover_units(space, keys, 12, 6));
  CHECK(dsn::cover_units(space, keys, 12, 5).size() == 12);
}

TEST_CASE("cover_units: covers only what is wanted, and names what no sub-network has") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const std::string key = dsn::make_network(space, space.smallest()).units[2].key();
  const auto probes = dsn::cover_units(space, {key}, 0, 1);
  CHECK(probes.size() == 1);
  CHECK(keys_of(space, probes).count(key) == 1);
  CHECK(dsn::cover_units(space, {}, 0, 1).empty());
  try {
    (void)dsn::cover_units(space, {"mbconv-of-another-space"}, 0, 1);
    FAIL("covered a unit that does not exist");
  } catch (const dsn::Error& error) {
    CHECK(error.code() == dsn::ErrorCode::not_found);
    CHECK(error.message().find("mbconv-of-another-space") != std::string::npos);
  }
}

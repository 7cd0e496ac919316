// SPDX-License-Identifier: Apache-2.0
// Levels and sub-networks that are not what they claim to be, wherever they come in. Needs LibTorch.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "chain.h"
#include "dsn/deploy/manifest.h"
#include "dsn/space/network.h"
#include "ends.h"
#include "fakes/tiny_space.h"

using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

// A copy of `bundle` whose manifest was changed.
std::string changed_bundle(const std::string& bundle, const std::function<void(Json&)>& change) {
  const fs::path folder = bundle + "-changed";
  fs::remove_all(folder);
  fs::copy(bundle, folder);
  Json manifest = Json::parse(dsn::read_file(folder / "manifest.json"));
  change(manifest);
  dsn::write_file_atomic(folder / "manifest.json", dsn::seal_manifest(manifest));  // as its maker would
  return folder;
}

}  // namespace

TEST_CASE("dsn export, run and eval: a level without statistics of its own is told of, each time") {
  const Chain& c = chain();
  const std::string said = "level 0 was never calibrated";
  REQUIRE_MESSAGE(ends().exported.status == 0, ends().exported.err);
  CHECK(has(ends().exported.err, said));
  CHECK_FALSE(has(ends().exported.err, "level 1 was"));  // the largest: the shared statistics are its own
  Outcome outcome = dsn_tool(
      {"run", ends().bundle, "--input", c.data, "--target-latency", "60s", "--frames", "5", "--json"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(has(outcome.err, said));
  CHECK(has(Json::parse(outcome.out)["warnings"].dump(), said));
  outcome = dsn_tool(eval_args(c, ends().bundle));
  CHECK(outcome.status == 0);
  CHECK(has(outcome.err, said));
  outcome = dsn_tool(eval_args(c, ends().bundle) + Args{"--bn", "calibrate"});
  CHECK(outcome.status == 0);
  CHECK_FALSE(has(outcome.err, said));
}

TEST_CASE("an invalid sub-network names key, value and allowed set, wherever it comes from") {
  const Chain& c = chain();
  const Json good = {{"r", 24}, {"d", {1, 2}}, {"e", {2, 4, 4, 2}}, {"ks", {3, 5, 3, 3}}};
  const auto refused = [&](const Args& args, const std::string& key, const std::string& value,
                           const std::string& allowed) {
    const Outcome outcome = dsn_tool(args + Args{"--quiet"});
    INFO(args[0] << ": " << outcome.err);
    CHECK(outcome.status == 2);
    CHECK(outcome.out.empty());
    CHECK(has(outcome.err, key + ": found " + value + ", expected " + allowed));
    CHECK(is_one_error(outcome.err, "dsn " + args[0]));
  };
  const std::string file = c.temp / "subnet.json";
  const auto eval = [&](const Json& config) {
    write_json(file, config);
    return eval_args(c, c.supernet) + Args{"--subnet", file};
  };
  CHECK(dsn_tool(eval(good)).status == 0);
  const auto with = [&](const char* key, const Json& value) {
    Json config = good;
    config[key] = value;
    return eval(config);
  };
  refused(with("r", 20), "r", "20", "one of 16, 24");
  refused(with("d", {1, 3}), "d[1]", "3", "one of 1, 2");
  refused(with("e", {2, 4, 5, 2}), "e[2]", "5", "one of 2, 4");
  refused(with("ks", {7, 5, 3, 3}), "k[0]", "7", "one of 3, 5");
  refused(with("d", {1}), "d", "1 entries", "2");

  const auto break_level = [](Json& family) { family["levels"][1]["config"]["k"][0] = 9; };
  Json family = Json::parse(dsn::read_file(ends().family));
  break_level(family);
  const std::string broken = write_json(c.temp / "broken.json", family);
  refused(eval_args(c, c.supernet) + Args{"--family", broken}, "k[0]", "9", "one of 3, 5");
  refused({"export", "--supernet", c.supernet, "--family", broken, "--lut", ends().lut, "--out",
           c.temp / "never"},
          "k[0]", "9", "one of 3, 5");
  refused({"profile", "--supernet", c.supernet, "--levels", broken, "--out", c.temp / "never.json"}, "k[0]",
          "9", "one of 3, 5");
  const std::string bundle =
      changed_bundle(ends().bundle, [&](Json& manifest) { break_level(manifest["family"]); });
  refused({"run", bundle, "--input", c.data, "--target-latency", "60s"}, "k[0]", "9", "one of 3, 5");
  refused(eval_args(c, bundle), "k[0]", "9", "one of 3, 5");

  Json lut = Json::parse(dsn::read_file(c.lut));
  lut["levels"][0]["config"]["d"][0] = 5;
  Args search = c.search_args(c.temp / "never.json");
  *std::find(search.begin(), search.end(), c.lut) = write_json(c.temp / "broken.lut.json", lut);
  refused(search, "d[0]", "5", "one of 1, 2");
}

TEST_CASE("a level that is not what was recorded of it is refused, with level, found and expected") {
  const Chain& c = chain();
  const Json levels = Json::parse(dsn::read_file(ends().family))["levels"];
  const std::size_t last = 1;
  const auto macs = [&](std::size_t level) { return levels[level]["macs"].dump(); };
  REQUIRE(macs(0) != macs(last));
  std::string expected, source = ends().bundle;
  std::function<void(Json&)> change;
  SUBCASE("MACs exchanged between levels") {
    change = [&](Json& family) { std::swap(family["levels"][0]["macs"], family["levels"][last]["macs"]); };
    expected = "/levels/0/macs: found " + macs(last) + ", expected " + macs(0);
  }
  SUBCASE("configurations exchanged between levels") {
    change = [&](Json& family) {
      std::swap(family["levels"][0]["config"], family["levels"][last]["config"]);
    };
    expected = "/levels/0/macs: found " + macs(0) + ", expected " + macs(last);
  }
  SUBCASE("another sub-network with its own counts: the statistics are not its") {
    change = [&](Json& family) {
      const dsn::SearchSpace space = dsn::fakes::tiny_space(10);
      Json& level = family["levels"][0];
      level["config"]["d"][0] = 3 - level["config"]["d"][0].get<int>();
      const auto network =
          dsn::make_network(space, space.from_json(dsn::JsonView(level["config"], "level 0")));
      level["macs"] = network.macs();
      level["params"] = network.params();
    };
    source = c.bundle;
    expected = "of another sub-network";
  }
  const std::string bundle = changed_bundle(source, [&](Json& manifest) { change(manifest["family"]); });
  Outcome outcome = dsn_tool(eval_args(c, bundle) + Args{"--quiet"});
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn eval"));
  CHECK_MESSAGE(has(outcome.err, expected), outcome.err);
  outcome = dsn_tool({"run", bundle, "--input", c.data, "--target-latency", "60s"});
  CHECK(outcome.status == 2);
  CHECK_MESSAGE(is_one_error(outcome.err, "dsn run"), outcome.err);
  if (expected != "of another sub-network") CHECK_MESSAGE(has(outcome.err, expected), outcome.err);
}

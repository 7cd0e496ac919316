// SPDX-License-Identifier: Apache-2.0
// dsn import lut and dsn search --predictor, on the real binary and published numbers.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "dsn/core/file.h"
#include "dsn/core/json.h"
#include "dsn/profile/lut.h"
#include "dsn/search/family.h"
#include "dsn/search/mlp_predictor.h"
#include "fakes/temp_folder.h"
#include "process.h"

using dsn::fakes::TempFolder;
using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

const fs::path kPublished = fs::path(DSN_TEST_DATA) / "dynamic-ofa";
const std::string kLevels = (kPublished / "levels.json").string();

// The published table, imported once.
const std::string& lut_file() {
  static const TempFolder temp;
  static const std::string file = [] {
    const std::string path = temp / "gpu.lut.json";
    const Outcome outcome = dsn_tool({"import", "lut", kPublished / "lut_xavier_nx_gpu.json", "--out", path});
    CHECK_MESSAGE(outcome.status == 0, outcome.err);
    CHECK(has(outcome.err, "missing: r128: no table"));
    CHECK(has(outcome.out, "at width 1.2, published"));
    CHECK(has(outcome.out, "8 missing"));
    return path;
  }();
  return file;
}

std::vector<std::string> search_args(std::vector<std::string> more) {
  std::vector<std::string> args{"search",        "--space",     "ofa-mbv3",
                                "--width-mult",  "1.2",         "--lut",
                                lut_file(),      "--predictor", kPublished / "acc_predictor.safetensors",
                                "--evaluations", "4000"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

}  // namespace

TEST_CASE("dsn import lut: a look-up table that says what is published and what is missing") {
  const Json document = Json::parse(dsn::read_file(lut_file()));
  dsn::check_schema(document, "dsn.lut", lut_file());
  CHECK(document["space"]["width_mult"] == 1.2);  // found from the shapes
  CHECK(document["units"][0]["at"][0]["latency_origin"] == "published");
  std::size_t missing = 0;
  for (const auto& warning : document["warnings"]) missing += has(warning, "missing: ") ? 1 : 0;
  CHECK(missing == 8);

  const TempFolder temp;
  const std::string platform =
      (fs::path(DSN_SOURCE_ROOT) / "profiles/jetson-xavier-nx.platform.json").string();
  std::vector<std::string> args{"import",
                                "lut",
                                kPublished / "lut_xavier_nx_gpu.json",
                                "--platform",
                                platform,
                                "--out",
                                temp / "nx.lut.json"};
  Outcome outcome = dsn_tool(args);
  CHECK(outcome.status == 2);
  CHECK(has(outcome.err, "--cluster is required"));
  args.insert(args.end(), {"--cluster", "gpu"});
  outcome = dsn_tool(args);
  CHECK_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(dsn::Lut::load(temp / "nx.lut.json").points().front().cluster == "gpu");

  outcome = dsn_tool({"import", "lut", kLevels, "--out", temp / "x.json"});
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn import"));
  CHECK_FALSE(fs::exists(temp / "x.json"));
}

TEST_CASE(
    "dsn search --predictor: every point of the front, the levels among them, the same for any threads") {
  const TempFolder temp;
  Outcome outcome = dsn_tool(search_args({"--json", "--quiet", "--threads", "1", "--out", temp / "a.json"}));
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  const Json document = Json::parse(outcome.out);
  CHECK(Json::parse(dsn::read_file(temp / "a.json")) == document);
  dsn::check_schema(document, "dsn.family", "search");
  const dsn::Family family = dsn::Family::load(temp / "a.json");
  CHECK(family.levels.size() == 6);
  CHECK(family.weights_sha256.empty());
  const Json& front = document["front"];
  REQUIRE(front.size() > 50);
  const dsn::SearchSpace space = dsn::SearchSpace::load("ofa-mbv3", 1.2);
  const dsn::Lut lut = dsn::Lut::load(lut_file());
  for (std::size_t i = 0; i < front.size(); ++i) {
    const auto network =
        dsn::make_network(space, space.from_json(dsn::JsonView(front[i]["config"], "front")));
    CHECK(front[i]["macs"] == network.macs());
    CHECK(front[i]["latency_s"].get<double>() ==
          doctest::Approx(lut.predict_latency(network, lut.points().front())).epsilon(1e-12));
    CHECK(front[i]["accuracy"].is_null());
    if (i == 0) continue;
    CHECK(front[i]["latency_s"] > front[i - 1]["latency_s"]);
    CHECK(front[i]["predicted_accuracy"] > front[i - 1]["predicted_accuracy"]);
  }
  outcome = dsn_tool(search_args({"--json", "--quiet", "--threads", "2"}));
  CHECK(Json::parse(outcome.out) == document);
}

TEST_CASE("dsn search --predictor: limits, calibration beside prediction, a table for people") {
  Outcome outcome = dsn_tool(
      search_args({"--max-latency", "20ms", "--levels", "3", "--measured", kLevels + "#families/nets_6"}));
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(has(outcome.out, "calibrated %"));
  CHECK(has(outcome.out, "calibrated on 6 measured"));
  CHECK(has(outcome.err, "resolution 128 is left out"));
  outcome = dsn_tool(search_args({"--max-latency", "5ms"}));
  CHECK(outcome.status == 3);
  CHECK(has(outcome.err, "no sub-network found is within 5"));
  CHECK(has(outcome.err, "the nearest, r"));
  outcome = dsn_tool(search_args({"--third-objective", "memory", "--all-opps", "--levels", "2"}));
  CHECK_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(has(outcome.out, "peak kB"));
  outcome = dsn_tool(search_args({"--third-objective", "energy"}));
  CHECK(outcome.status == 2);
  CHECK(has(outcome.err, "has no energy of unit"));
}

TEST_CASE(
    "dsn search --predictor: a predictor that was fitted here is read back, one of another space refused") {
  const dsn::SearchSpace space = dsn::SearchSpace::load("ofa-mbv3", 1.2);
  std::vector<dsn::SubnetConfig> configs;
  std::vector<double> accuracy;
  dsn::Rng rng(1);
  for (int i = 0; i < 12; ++i) {
    configs.push_back(space.sample(rng));
    accuracy.push_back(0.7 + 1e-10 * static_cast<double>(dsn::make_network(space, configs.back()).macs()));
  }
  const TempFolder temp;
  dsn::MlpPredictor::fit(space, configs, accuracy, 1).save(temp / "p.safetensors", {});
  const std::vector<std::string> args{
      "search",  "--space",       "ofa-mbv3", "--width-mult", "1.2",
      "--lut",   lut_file(),      "--json",   "--predictor",  temp / "p.safetensors",
      "--quiet", "--evaluations", "2000"};
  const Outcome outcome = dsn_tool(args);
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  const Json front = Json::parse(outcome.out)["front"];
  const auto predictor = dsn::MlpPredictor::open(temp / "p.safetensors", space);
  for (const Json& row : front)
    CHECK(row["predicted_accuracy"] ==
          predictor.predict(space.from_json(dsn::JsonView(row["config"], "front"))));
  std::vector<std::string> other = args;
  other[4] = "1.0";
  CHECK(dsn_tool(other).status == 2);
  CHECK(has(dsn_tool({"search", "--fit-predictor", temp / "q.safetensors", "--predictor", "p"}).err,
            "fit one first"));
}

TEST_CASE("dsn search: flags of one way with the other are refused") {
  for (const auto& [more, part] :
       {std::pair<std::vector<std::string>, const char*>{{"--supernet", "x"}, "--supernet"},
        {{"--data", "x"}, "--data"}}) {
    const Outcome outcome = dsn_tool(search_args(more));
    CHECK(outcome.status == 2);
    CHECK(is_one_error(outcome.err, "dsn search"));
    CHECK(has(outcome.err, part));
  }
  CHECK(dsn_tool({"search", "--space", "ofa-mbv3"}).status == 2);
  CHECK(has(dsn_tool({"search", "--predictor", "p"}).err, "--space is required"));
}

TEST_CASE("dsn compare: the strongest baseline of a published figure, the definition, and one picture") {
  const TempFolder temp;
  const std::string figure = (kPublished / "sota_xavier_nx.json").string();
  Outcome outcome =
      dsn_tool({"compare", figure + "#gpu/dynamic_ofa", figure + "#gpu", "--export-plot", temp / "p.html"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(has(outcome.out,
            "against gpu/autoslim_mnasnet, the strongest baseline: 2.42 times as fast and +5.28 points"));
  CHECK(has(outcome.out, "definition: at each point of the baseline's Pareto front"));
  const std::string page = dsn::read_file(temp / "p.html");
  CHECK(has(page, "gpu/dynamic_ofa: 74.20 % at 48.9 ms"));
  CHECK(has(page, "gpu/us_slimmable_mbv2"));

  outcome = dsn_tool({"compare", figure + "#cpu/dynamic_ofa", figure + "#cpu", "--json"});
  const Json document = Json::parse(outcome.out);
  CHECK(document["comparisons"].size() == 6);
  CHECK(document["strongest"] == "cpu/autoslim_mnasnet");

  CHECK(has(dsn_tool({"compare", figure, figure}).err, "found 14 series, expected one"));
  CHECK(dsn_tool({"compare", figure + "#gpu/dynamic_ofa", figure, "--export-plot", temp / "p.png"}).status ==
        2);
}

TEST_CASE("dsn search --export-plot: front and levels in one picture, and what compare makes of the family") {
  const TempFolder temp;
  const Outcome outcome =
      dsn_tool(search_args({"--quiet", "--export-plot", temp / "f.svg", "--out", temp / "f.json"}));
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  const std::string svg = dsn::read_file(temp / "f.svg");
  CHECK(has(svg, "levels, modelled"));
  CHECK(has(svg, "front, predicted"));
  const Outcome compared = dsn_tool({"compare", temp / "f.json", temp / "f.json#front"});
  CHECK_MESSAGE(compared.status == 0, compared.err);
  CHECK(has(compared.out, "1.00 times as fast"));
}

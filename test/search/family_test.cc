// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/family.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "fakes/tiny_space.h"
#include "synthetic.h"

using dsn::ErrorCode;
using dsn::Family;
using dsn::Json;
using dsn::Level;
using dsn::Origin;
using dsn::fakes::code_of;

namespace {

Family sample_family() {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  Family family;
  family.space_document = space.document();
  family.space_sha256 = space.sha256();
  family.weights_sha256 = std::string(64, 'a');
  family.bn_file = "family.bn.safetensors";
  family.lut_file = "family.lut.json";
  for (const dsn::SubnetConfig& config : {space.smallest(), space.largest()}) {
    const dsn::Network network = dsn::make_network(space, config);
    Level level;
    level.id = static_cast<int>(family.levels.size());
    level.config = config;
    level.accuracy = 0.9 + 0.03 * level.id;
    level.accuracy_on = "fashion-mnist/test, n=10000";
    level.val_accuracy = 0.91 + 0.03 * level.id;
    level.macs = network.macs();
    level.params = network.params();
    level.predicted_latency_s = 0.001 * (1 + level.id);
    level.bn_prefix = "level" + std::to_string(level.id);
    family.levels.push_back(level);
  }
  return family;
}

Json document_of(const Family& family) {
  Json document = dsn::pure_envelope("dsn.family", 1, {{"lut", std::string(64, 'b')}}, Json::object());
  document.update(family.to_json());
  return document;
}

}  // namespace

TEST_CASE("Family: what is written is read back unchanged") {
  const Family family = sample_family();
  const Json document = document_of(family);
  dsn::check_schema(document, "dsn.family", "x");
  const Family again = Family::parse(document, "x");
  CHECK(again.to_json() == family.to_json());
  REQUIRE(again.levels.size() == 2);
  CHECK(again.levels[1].config == dsn::fakes::tiny_space().largest());
  CHECK(again.levels[1].accuracy == doctest::Approx(0.93));
  CHECK(again.levels[1].val_accuracy == doctest::Approx(0.94));
  CHECK(again.levels[1].bn_prefix == "level1");
  CHECK(again.levels[1].predicted_latency_s == doctest::Approx(0.002));
  CHECK(again.bn_file == "family.bn.safetensors");
  CHECK(dsn::dump_json(document) == dsn::dump_json(document_of(again)));
}

TEST_CASE("Family: a published one has no weights, statistics or latencies, and says why") {
  Family family = sample_family();
  family.weights_sha256 = family.bn_file = family.lut_file = "";
  for (Level& level : family.levels) {
    level.bn_prefix = "";
    level.predicted_latency_s = 0;
    level.val_accuracy.reset();
    level.accuracy_origin = Origin::published;
  }
  const Json json = family.to_json();
  CHECK(json["weights_sha256"].is_null());
  CHECK(json.contains("weights_sha256_reason"));
  CHECK(json["levels"][0]["predicted_latency_s"].is_null());
  CHECK(json["levels"][0].contains("predicted_latency_s_reason"));
  CHECK(json["levels"][0]["val_accuracy"].is_null());
  const Json document = document_of(family);
  dsn::check_schema(document, "dsn.family", "x");
  const Family again = Family::parse(document, "x");
  CHECK(again.levels[0].accuracy_origin == Origin::published);
  CHECK(again.levels[0].predicted_latency_s == 0);
  CHECK(!again.levels[0].val_accuracy);
}

TEST_CASE(
    "Family::parse: levels out of order, foreign files and impossible numbers are named with their path") {
  const auto refuse = [](const std::function<void(Json&)>& change, const std::string& part,
                         ErrorCode expected = ErrorCode::bad_input) {
    Json document = document_of(sample_family());
    change(document);
    CHECK(code_of([&] { (void)Family::parse(document, "some.family.json"); }, part) == expected);
    CHECK(code_of([&] { (void)Family::parse(document, "some.family.json"); }, "some.family.json") ==
          expected);
  };
  refuse([](Json& d) { d["levels"][1]["val_accuracy"] = 0.5; }, "/levels/1/val_accuracy");
  refuse([](Json& d) { d["levels"][1]["predicted_latency_s"] = 0.001; }, "/levels/1/predicted_latency_s");
  refuse([](Json& d) { d["levels"][1]["id"] = 0; }, "/levels/1/id");
  refuse([](Json& d) { d["levels"][0]["accuracy"] = 92.0; }, "/levels/0/accuracy");
  refuse([](Json& d) { d["levels"][0]["accuracy_origin"] = "hoped"; }, "/levels/0/accuracy_origin");
  refuse([](Json& d) { d["levels"][0]["config"]["k"][0] = 4; }, "/levels/0/config");
  refuse([](Json& d) { d["levels"] = Json::array(); }, "/levels");
  refuse([](Json& d) { d["bn_file"] = "../../etc/passwd"; }, "/bn_file");
  refuse([](Json& d) { d["lut_file"] = "/lut.json"; }, "/lut_file");
  refuse([](Json& d) { d["bn_file"] = nullptr; }, "/levels/0/bn_prefix");
  refuse([](Json& d) { d.erase("space_sha256"); }, "space_sha256");
  refuse([](Json& d) { d["space"]["classes"] = 9; }, "/space_sha256", ErrorCode::mismatch);
}

TEST_CASE("Family::load: a file that does not exist is not_found") {
  CHECK(code_of([] { (void)Family::load("/nonexistent/family.json"); }, "/nonexistent/family.json") ==
        ErrorCode::not_found);
}

TEST_CASE("Family::parse: MACs or parameters that are not the configuration's are refused with both") {
  const Json good = document_of(sample_family());
  for (const char* key : {"macs", "params"}) {
    Json document = good;
    std::swap(document["levels"][0][key], document["levels"][1][key]);
    try {
      (void)Family::parse(document, "f.json");
      FAIL("accepted");
    } catch (const dsn::Error& error) {
      CHECK(error.code() == dsn::ErrorCode::bad_input);
      CHECK(error.message() ==
            fmt::format("f.json: /levels/0/{}: found {}, expected {}, as its configuration has", key,
                        good["levels"][1][key].dump(), good["levels"][0][key].dump()));
    }
  }
}

TEST_CASE(
    "Family::calibration_doubts: levels without statistics are told of, but not the largest sub-network") {
  Family family = sample_family();
  CHECK(family.calibration_doubts().empty());
  for (Level& level : family.levels) level.bn_prefix.clear();
  REQUIRE(family.calibration_doubts().size() == 1);
  CHECK(family.calibration_doubts()[0].find("level 0 was never calibrated") != std::string::npos);
}

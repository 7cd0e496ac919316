// SPDX-License-Identifier: Apache-2.0
// Parity with the Once-for-All implementation: import its checkpoints, and get its logits. Needs LibTorch.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "dsn/core/file.h"
#include "dsn/core/json.h"
#include "fakes/temp_folder.h"
#include "process.h"

using dsn::test::dsn_tool;
using dsn::test::Outcome;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

const fs::path kFixture = fs::path(DSN_TEST_DATA) / "ofa-parity";

// Largest difference over the largest expected logit.
double difference(const Json& found, const Json& expected) {
  double largest = 0, worst = 0;
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    REQUIRE(found[i].size() == expected[i].size());
    for (std::size_t k = 0; k < expected[i].size(); ++k) {
      largest = std::max(largest, std::abs(expected[i][k].get<double>()));
      worst = std::max(worst, std::abs(found[i][k].get<double>() - expected[i][k].get<double>()));
    }
  }
  return worst / largest;
}

}  // namespace

TEST_CASE(
    "dsn import and dsn eval --tensors: the reference's logits of every sub-network, stored and calibrated") {
  const dsn::fakes::TempFolder temp;
  const Json expected = Json::parse(dsn::read_file(kFixture / "ofa-mbv3-w0.25.expected.json"));
  REQUIRE(expected["cases"].size() == 8);
  REQUIRE(expected["bn_calibrated"].size() == 3);
  const std::string inputs = kFixture / "ofa-mbv3-w0.25.inputs.safetensors";
  const std::string config_file = temp / "config.json";
  for (const std::string format : {"legacy", "zip"}) {
    CAPTURE(format);
    const std::string folder = temp / format;
    const Outcome imported = dsn_tool({"import", "ofa", kFixture / ("ofa-mbv3-w0.25." + format + ".pth"),
                                       "--width-mult", "0.25", "--classes", "10", "--out", folder});
    REQUIRE_MESSAGE(imported.status == 0, imported.err);
    const auto logits = [&](const Json& wanted, std::vector<std::string> more) {
      dsn::write_file_atomic(config_file, dsn::dump_json(wanted["config"]));
      std::vector<std::string> args{"eval", folder, "--subnet", config_file, "--tensors", inputs, "--json"};
      args.insert(args.end(), more.begin(), more.end());
      const Outcome outcome = dsn_tool(args);
      REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
      return Json::parse(outcome.out);
    };
    double worst = 0;
    for (const Json& wanted : expected["cases"]) {
      const Json found = logits(wanted, {});
      CHECK(found["params"] == wanted["params"]);
      CHECK(found["input"] == std::to_string(wanted["config"]["r"].get<int>()));
      worst = std::max(worst, difference(found["logits"], wanted["logits"]));
    }
    CHECK(worst < 1e-4);
    double worst_calibrated = 0;
    for (const Json& wanted : expected["bn_calibrated"]) {
      const Json found =
          logits(wanted, {"--calibrate-tensors", inputs + ":" + wanted["batch"].get<std::string>()});
      CHECK(found["bn"]["images"] == 32);
      worst_calibrated = std::max(worst_calibrated, difference(found["logits"], wanted["logits"]));
    }
    CHECK(worst_calibrated < 1e-4);
    MESSAGE(format << ": largest difference over largest logit " << worst << " stored, " << worst_calibrated
                   << " calibrated");
  }
}

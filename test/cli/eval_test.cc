// SPDX-License-Identifier: Apache-2.0
// dsn eval: accuracy on data, logits of raw tensors, and what it refuses. Needs LibTorch.
#include <doctest/doctest.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "chain.h"
#include "dsn/core/json.h"
#include "dsn/core/safetensors.h"
#include "dsn/core/stats.h"
#include "ends.h"

using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

// N images of pattern i at r x r.
std::vector<float> pattern(int n, int r, float scale) {
  std::vector<float> values(static_cast<std::size_t>(n * r * r));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = scale * static_cast<float>(i * 37 % 101) / 101.F;
  return values;
}

dsn::TensorView view_of(const std::vector<float>& values, std::int64_t n, std::int64_t c, std::int64_t r) {
  return {dsn::DType::f32, {n, c, r, r}, std::as_bytes(std::span(values))};
}

}  // namespace

TEST_CASE(
    "dsn eval: the levels of a family and of its bundle have exactly the accuracies that search recorded") {
  const Chain& c = chain();
  REQUIRE_MESSAGE(c.exported.status == 0, c.exported.err);
  const Json family = Json::parse(dsn::read_file(c.family));
  const std::vector<Args> ways{eval_args(c, c.supernet) + Args{"--family", c.family}, eval_args(c, c.bundle)};
  for (const Args& args : ways) {
    const Outcome outcome = dsn_tool(args + Args{"--json"});
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    const Json report = Json::parse(outcome.out);
    CHECK_NOTHROW(dsn::check_schema(report, "dsn.report", "report"));
    CHECK(report["kind"] == "eval");
    CHECK(report["warnings"].empty());
    const Json& subnets = report["eval"]["subnets"];
    REQUIRE(subnets.size() == family["levels"].size());
    for (std::size_t i = 0; i < subnets.size(); ++i) {
      CHECK(subnets[i]["level"] == i);
      CHECK(subnets[i]["top1"]["accuracy"] == family["levels"][i]["accuracy"]);
      CHECK(subnets[i]["recorded"]["accuracy"] == family["levels"][i]["accuracy"]);
      CHECK(subnets[i]["macs"] == family["levels"][i]["macs"]);
      CHECK(subnets[i]["bn"]["source"] == "stored");
      CHECK(subnets[i]["config"] == family["levels"][i]["config"]);
    }
  }
}

TEST_CASE("dsn eval: what the report says fits together, and is the same bytes whatever the threads") {
  const Chain& c = chain();
  const std::string out = c.temp / "eval.json";
  const Outcome outcome = dsn_tool(eval_args(c, c.supernet) + Args{"--threads", "1", "--json", "--out", out});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(outcome.out == dsn::read_file(out));
  for (const char* threads : {"2", "3"}) {
    CHECK(dsn_tool(eval_args(c, c.supernet) + Args{"--threads", threads, "--json"}).out == outcome.out);
  }
  const Json report = Json::parse(outcome.out);
  const Json& subnets = report["eval"]["subnets"];
  REQUIRE(subnets.size() == 2);
  CHECK(subnets[0]["name"] == "largest");
  CHECK(subnets[1]["name"] == "smallest");
  for (const Json& subnet : subnets) {
    CHECK(subnet["bn"]["source"] == "calibrated");
    CHECK(subnet["bn"]["images"] == 40);
    const Json& top1 = subnet["top1"];
    CHECK(top1["accuracy_origin"] == "measured");
    CHECK(top1["images"] == 60);
    CHECK(top1["accuracy"].get<double>() == doctest::Approx(top1["correct"].get<double>() / 60));
    const auto interval = dsn::wilson_interval(top1["correct"].get<int>(), 60);
    CHECK(top1["interval_95"] == Json{interval.low, interval.high});
    CHECK(subnet["top5"]["correct"] >= top1["correct"]);
    int diagonal = 0, all = 0;
    REQUIRE(subnet["confusion"].size() == 10);
    for (std::size_t l = 0; l < 10; ++l) {
      const Json& cls = subnet["classes"][l];
      int row = 0, column = 0;
      for (std::size_t p = 0; p < 10; ++p) {
        row += subnet["confusion"][l][p].get<int>();
        column += subnet["confusion"][p][l].get<int>();
      }
      const int right = subnet["confusion"][l][l].get<int>();
      all += row;
      diagonal += right;
      CHECK(cls["images"] == row);
      CHECK(cls["predicted"] == column);
      if (row > 0) {
        CHECK(cls["recall"].get<double>() == doctest::Approx(1.0 * right / row));
      } else {  // the small images have four of MNIST's ten classes
        CHECK(cls["recall"].is_null());
        CHECK(cls["recall_reason"] == "no image has this label");
      }
    }
    CHECK(all == 60);
    CHECK(diagonal == top1["correct"]);
  }
  CHECK(subnets[0]["top1"]["correct"] > 30);  // chance is 15
}

TEST_CASE("dsn eval: tables for people say what was measured, on what and how sure it is") {
  const Chain& c = chain();
  const Outcome outcome = dsn_tool(eval_args(c, c.supernet) + Args{"--subnet", "largest", "--split", "val"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  for (const char* part : {"top-1 %", "95 % interval", "recall %", "precision %", "calibrated on 40 of",
                           "measured on 40 images of", "/val"}) {
    CHECK_MESSAGE(has(outcome.out, part), part);
  }
  const Outcome images = dsn_tool(eval_args(c, c.supernet) + Args{"--images", "7"});
  CHECK(has(images.out, "measured on 7 images"));
}

TEST_CASE("dsn eval: shared statistics are used for a sub-network only on request, and then with a warning") {
  const Chain& c = chain();
  const Args stored = eval_args(c, c.supernet) + Args{"--bn", "stored", "--json"};
  const Outcome smallest = dsn_tool(stored + Args{"--subnet", "smallest"});
  CHECK(smallest.status == 0);
  CHECK(has(smallest.err, "warning:"));
  CHECK(has(smallest.err, "smallest was never calibrated"));
  const Json report = Json::parse(smallest.out);
  CHECK(report["warnings"].size() == 1);
  CHECK(report["eval"]["subnets"][0]["bn"] == Json{{"source", "stored"}, {"of", "super-network"}});
  // The largest sub-network's are its own.
  const Outcome largest = dsn_tool(stored + Args{"--subnet", "largest"});
  CHECK(largest.status == 0);
  CHECK_FALSE(has(largest.err, "warning:"));
}

TEST_CASE("dsn eval --tensors: logits of each image alone and together, from the tensor that fits") {
  const Chain& c = chain();
  const auto at16 = pattern(3, 16, 1), at24 = pattern(2, 24, 2), calibration = pattern(8, 16, 3);
  const std::string file = c.temp / "inputs.safetensors";
  dsn::write_safetensors(file,
                         {{"16", view_of(at16, 3, 1, 16)},
                          {"24", view_of(at24, 2, 1, 24)},
                          {"calib", view_of(calibration, 8, 1, 16)}},
                         {});
  const Args args{"eval", c.supernet, "--subnet", "smallest", "--tensors", file, "--json"};
  Outcome outcome = dsn_tool(args);  // r16: the tensor of that name
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  const Json stored = Json::parse(outcome.out);
  CHECK_NOTHROW(dsn::check_schema(stored, "dsn.report", "report"));
  CHECK(stored["input"] == "16");
  CHECK(stored["bn"]["of"] == "super-network");
  REQUIRE(stored["logits"].size() == 3);
  CHECK(stored["logits"][0].size() == 10);
  CHECK(dsn_tool(args + Args{"--input", "16"}).out == outcome.out);
  // Every number is a float32, printed so that it reads back as the same.
  for (const Json& value : stored["logits"][0])
    CHECK(static_cast<double>(value.get<float>()) == value.get<double>());

  const std::string alone = c.temp / "alone.safetensors";
  dsn::write_safetensors(
      alone,
      {{"second", {dsn::DType::f32, {1, 1, 16, 16}, std::as_bytes(std::span(at16).subspan(256, 256))}}}, {});
  outcome = dsn_tool({"eval", c.supernet, "--subnet", "smallest", "--tensors", alone, "--json"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  for (std::size_t k = 0; k < 10; ++k) {
    CHECK(Json::parse(outcome.out)["logits"][0][k].get<double>() ==
          doctest::Approx(stored["logits"][1][k].get<double>()).epsilon(1e-4));
  }
  outcome = dsn_tool(args + Args{"--calibrate-tensors", file + ":calib"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  const Json calibrated = Json::parse(outcome.out);
  CHECK(calibrated["bn"] == Json{{"source", "calibrated"}, {"batch", "calib"}, {"images", 8}});
  CHECK(calibrated["logits"] != stored["logits"]);
  CHECK(calibrated["warnings"].empty());

  outcome = dsn_tool({"eval", c.bundle, "--level", "0", "--tensors", file, "--input", "24"});
  CHECK(outcome.status == (Json::parse(dsn::read_file(c.family))["levels"][0]["config"]["r"] == 24 ? 0 : 2));
}

TEST_CASE("dsn eval: what cannot be is one line and exit 2") {
  const Chain& c = chain();
  const auto at16 = pattern(2, 16, 1);
  const std::string file = c.temp / "two.safetensors";
  dsn::write_safetensors(file, {{"a", view_of(at16, 2, 1, 16)}, {"b", view_of(at16, 2, 1, 16)}}, {});
  const Args tensors{"eval", c.supernet, "--subnet", "smallest", "--tensors", file};
  Args args;
  std::string named;
  SUBCASE("nothing to evaluate on") {
    args = {"eval", c.supernet}, named = "--data";
  }
  SUBCASE("both images and tensors") {
    args = tensors + Args{"--data", c.data}, named = "expected one";
  }
  SUBCASE("a level of a super-network") {
    args = eval_args(c, c.supernet) + Args{"--level", "0"}, named = "has no levels";
  }
  SUBCASE("a level that there is not") {
    args = eval_args(c, c.bundle) + Args{"--level", "17"}, named = "expected 0 to";
  }
  SUBCASE("a level and a sub-network") {
    args = eval_args(c, c.bundle) + Args{"--level", "0", "--subnet", "largest"}, named = "--subnet";
  }
  SUBCASE("a family for a bundle") {
    args = eval_args(c, c.bundle) + Args{"--family", c.family}, named = "--family";
  }
  SUBCASE("a super-network that there is not") {
    args = eval_args(c, c.temp / "nowhere.safetensors"), named = "nowhere.safetensors";
  }
  SUBCASE("a sub-network that there is not") {
    args = eval_args(c, c.supernet) + Args{"--subnet", "huge"}, named = "huge";
  }
  SUBCASE("data that there is not") {
    args = {"eval", c.supernet, "--data", "cifar10:" + (c.temp / "no-cifar").string()}, named = "no-cifar";
  }
  SUBCASE("several tensors that fit") {
    args = tensors, named = "a [2, 1, 16, 16]; b [2, 1, 16, 16]";
  }
  SUBCASE("no tensor of that name") {
    args = tensors + Args{"--input", "c"}, named = "'c'";
  }
  SUBCASE("tensors of another resolution") {
    args = {"eval", c.supernet, "--subnet", "largest", "--tensors", file, "--input", "a"},
    named = "[N, 1, 24, 24]";
  }
  SUBCASE("tensors of several sub-networks") {
    args = {"eval", c.supernet, "--tensors", file}, named = "found 2 sub-networks";
  }
  SUBCASE("an input without tensors") {
    args = eval_args(c, c.supernet) + Args{"--input", "a"}, named = "--input";
  }
  SUBCASE("no safetensors file") {
    args = {"eval", c.supernet, "--subnet", "smallest", "--tensors", c.family}, named = "family.json";
  }
  const Outcome outcome = dsn_tool(args);
  CHECK(outcome.status == 2);
  CHECK(outcome.out.empty());
  CHECK_MESSAGE(is_one_error(outcome.err, "dsn eval"), outcome.err);
  CHECK_MESSAGE(has(outcome.err, named), outcome.err);
}

TEST_CASE("dsn eval: a family of other weights is refused") {
  const Chain& c = chain();
  Json family = Json::parse(dsn::read_file(c.family));
  family["weights_sha256"] = std::string(64, '0');
  fs::create_directories(c.temp / "foreign");
  const std::string file = write_json(c.temp.path() / "foreign" / "family.json", family);
  const Outcome outcome = dsn_tool(eval_args(c, c.supernet) + Args{"--family", file});
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn eval"));
  CHECK(has(outcome.err, "of weights 000000000000"));
}

TEST_CASE("dsn eval --confusion: a picture per sub-network, or exit 4 before any work") {
  const Chain& c = chain();
  const fs::path picture = c.temp / "matrix.png";
  const bool opencv = has(dsn_tool({"--version"}).out, "OpenCV: yes");
  const Outcome one =
      dsn_tool(eval_args(c, c.supernet) + Args{"--subnet", "largest", "--confusion", picture});
  if (!opencv) {
    CHECK(one.status == 4);
    CHECK(is_one_error(one.err, "dsn eval"));
    CHECK_FALSE(fs::exists(picture));
    return;
  }
  CHECK(one.status == 0);
  CHECK(dsn::read_file(picture).substr(1, 3) == "PNG");
  CHECK(dsn_tool(eval_args(c, ends().bundle) + Args{"--confusion", picture}).status == 0);
  CHECK(fs::exists(c.temp / "matrix-level-0.png"));
  CHECK(fs::exists(c.temp / "matrix-level-1.png"));
  const Outcome other = dsn_tool(eval_args(c, ends().bundle) + Args{"--confusion", c.temp / "matrix.jpg"});
  CHECK(other.status == 2);
  CHECK(has(other.err, ".png"));
}

TEST_CASE("dsn eval --dry-run: units and their costs add up to the sub-network's, without data") {
  const Chain& c = chain();
  const Outcome outcome = dsn_tool({"eval", c.supernet, "--subnet", "smallest", "--dry-run", "--json"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  const Json subnet = Json::parse(outcome.out)["subnets"][0];
  std::int64_t macs = 0, params = 0;
  for (const Json& unit : subnet["units"]) {
    macs += unit["macs"].get<std::int64_t>();
    params += unit["params"].get<std::int64_t>();
  }
  CHECK(subnet["macs"] == macs);
  CHECK(subnet["params"] == params);
  CHECK(has(dsn_tool({"eval", c.bundle, "--dry-run"}).out, "level 0: r"));
}

TEST_CASE("dsn eval: an interruption ends it at once and writes nothing") {
  const Chain& c = chain();
  const std::string out = c.temp / "stopped.json";
  dsn::test::ProcessOptions options;
  options.signals = {SIGTERM};
  options.ready = [](const std::string& err) { return err.find("evaluate") != std::string::npos; };
  // Enough to do that the signal comes in time.
  const Outcome outcome = dsn_tool({"eval", c.supernet, "--data", c.data, "--val-count", "40", "--split",
                                    "train", "--calib-images", "200", "--threads", "1", "--out", out},
                                   options);
  CHECK(outcome.status == 143);
  CHECK_FALSE(fs::exists(out));
}

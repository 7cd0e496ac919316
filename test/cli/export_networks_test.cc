// SPDX-License-Identifier: Apache-2.0
// dsn export to other runtimes: levels and sub-networks as files that are verified or not there.
#include <doctest/doctest.h>

#include <limits>

#include "chain.h"
#include "dsn/supernet/checkpoint.h"

using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using dsn::fakes::TempFolder;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

// Formats of this build: ONNX is optional.
std::vector<std::string> formats() {
  const TempFolder temp;
  const Outcome outcome =
      dsn_tool({"export", chain().bundle, "--format", "onnx", "--level", "0", "--out", temp / "out"});
  if (outcome.status == 0) return {"onnx", "torchscript", "safetensors"};
  CHECK(outcome.status == 4);
  CHECK(has(outcome.err, "-Donnx=enabled"));
  return {"torchscript", "safetensors"};
}

Json index_of(const fs::path& folder) {
  return dsn::read_document(folder / "index.json", "dsn.export");
}

}  // namespace

TEST_CASE("dsn export: a bundle's levels become one verified file each, whatever the format") {
  const Chain& c = chain();
  const Json manifest = dsn::read_json(fs::path(c.bundle) / "manifest.json");
  const auto levels = manifest["family"]["levels"].size();
  for (const std::string& format : formats()) {
    CAPTURE(format);
    const TempFolder temp;
    const Outcome outcome =
        dsn_tool({"export", c.bundle, "--format", format, "--out", temp / "out", "--samples", "--json"});
    CHECK_MESSAGE(outcome.status == 0, outcome.err);
    CHECK(outcome.out == dsn::read_file(temp.path() / "out" / "index.json"));
    const Json index = index_of(temp / "out");
    REQUIRE(index["networks"].size() == levels);
    for (std::size_t i = 0; i < levels; ++i) {
      const Json& network = index["networks"][i];
      CHECK(network["level"] == i);
      CHECK(network["bn"] == "own");
      CHECK(network["accuracy"] == manifest["family"]["levels"][i]["accuracy"]);
      CHECK(network["config"] == manifest["family"]["levels"][i]["config"]);
      CHECK(network["verification"]["verified"] == true);
      CHECK(network["verification"]["top1_agree"] == 16);
      CHECK(network["verification"]["largest_relative_difference"] <= 1e-4);
      for (const Json& file : network["files"]) {
        const fs::path path = temp.path() / "out" / file["file"].get<std::string>();
        CHECK(file["sha256"] == dsn::sha256_file(path));
      }
    }
    // Again, from the parts that the bundle was made of: the same files.
    const Outcome again = dsn_tool({"export", "--supernet", c.supernet, "--family", c.family, "--format",
                                    format, "--out", temp / "out", "--level", "1"});
    CHECK_MESSAGE(again.status == 0, again.err);
    REQUIRE(index_of(temp / "out")["networks"].size() == 1);
    CHECK(index_of(temp / "out")["networks"][0]["files"] == index["networks"][1]["files"]);
    CHECK_FALSE(fs::exists(temp / "out.tmp"));
  }
}

TEST_CASE(
    "dsn export: a sub-network is calibrated where there are images, else on shared statistics with a "
    "warning") {
  const Chain& c = chain();
  const TempFolder temp;
  const Args args{"export",   c.supernet,    "--subnet", "smallest",
                  "--format", "torchscript", "--out",    temp / "out"};
  Outcome outcome = dsn_tool(args + Args{"--calib-images", "40", "--val-count", "40"});
  CHECK_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(index_of(temp / "out")["networks"][0]["bn"] == "calibrated");
  CHECK(index_of(temp / "out")["warnings"].empty());

  // The same weights, from a place without its images.
  dsn::Checkpoint checkpoint = dsn::Checkpoint::open(c.supernet);
  checkpoint.info.dataset = "idx:/nowhere";
  const std::string moved = temp / "moved.safetensors";
  dsn::write_checkpoint(moved, checkpoint.info, checkpoint.tensors.tensors());
  outcome =
      dsn_tool({"export", moved, "--subnet", "smallest", "--format", "torchscript", "--out", temp / "out"});
  CHECK_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(has(outcome.err, "never calibrated"));
  CHECK(has(outcome.err, "random values"));
  const Json index = index_of(temp / "out");
  CHECK(index["networks"][0]["bn"] == "shared");
  CHECK(index["networks"][0]["verification"]["images_of"] == "random values");
  CHECK(index["warnings"].size() == 2);
}

TEST_CASE("dsn export: what cannot be exported is one line, and nothing is left behind") {
  const Chain& c = chain();
  const TempFolder temp;
  Args args{"export", c.bundle, "--format", "safetensors", "--out", temp / "out"};
  int status = 2;
  std::string named;
  SUBCASE("an opset out of range") {
    args = args + Args{"--format", "onnx", "--opset", "9"};
    named = "--opset: found 9, expected 10 to 17";
  }
  SUBCASE("an opset for another format") {
    args = args + Args{"--opset", "14"};
    named = "--opset goes with --format onnx only";
  }
  SUBCASE("a level that is not there") {
    args = args + Args{"--level", "9"};
    named = "--level: found 9, expected 0 to";
  }
  SUBCASE("a super-network without a choice") {
    args[1] = c.supernet;
    named = "found no sub-network to export";
  }
  SUBCASE("a sub-network for a bundle") {
    args = args + Args{"--format", "bundle", "--subnet", "largest"};
    named = "--subnet does not go with --format bundle";
  }
  SUBCASE("a look-up table for a sub-network") {
    args = args + Args{"--lut", c.lut};
    named = "--lut does not go with --format safetensors";
  }
  SUBCASE("no model") {
    args.erase(args.begin() + 1);
    named = "found 0 models";
  }
  SUBCASE("images that are not there") {
    args = args + Args{"--data", "idx:/nowhere"};
    named = "/nowhere";
  }
  SUBCASE("weights that no file could be verified with") {
    dsn::Checkpoint checkpoint = dsn::Checkpoint::open(c.supernet);
    auto tensors = checkpoint.tensors.tensors();
    const std::vector<float> infinite(10, std::numeric_limits<float>::infinity());
    tensors["classifier.bias"].bytes = std::as_bytes(std::span(infinite));
    const std::string bad = temp / "bad.safetensors";
    dsn::write_checkpoint(bad, checkpoint.info, tensors);
    args[1] = bad;
    args = args + Args{"--subnet", "largest", "--calib-images", "40", "--val-count", "40"};
    named = "not finite";
    status = 1;
  }
  const Outcome outcome = dsn_tool(args);
  CHECK(outcome.status == status);
  CHECK(outcome.out.empty());
  CHECK_MESSAGE(has(outcome.err, named), outcome.err);
  CHECK(has(outcome.err, "dsn export: error: "));
  CHECK_FALSE(fs::exists(temp / "out"));
  CHECK_FALSE(fs::exists(temp / "out.tmp"));
}

TEST_CASE(
    "dsn export: a folder of other files is refused, a file's name too, and a full disk keeps the older "
    "export") {
  const Chain& c = chain();
  const TempFolder temp;
  const auto to = [&](const std::string& out) {
    return Args{"export", c.bundle, "--format", "safetensors", "--out", out};
  };
  fs::create_directory(temp / "photos");
  dsn::write_file_atomic(temp.path() / "photos" / "cat.jpg", "meow");
  CHECK(dsn_tool(to(temp / "photos")).status == 2);
  CHECK(fs::exists(temp.path() / "photos" / "cat.jpg"));
  const Outcome named = dsn_tool(to(temp / "level.onnx"));
  CHECK(named.status == 2);
  CHECK(has(named.err, "expected a folder"));

  REQUIRE(dsn_tool(to(temp / "out")).status == 0);
  const std::string before = dsn::read_file(temp.path() / "out" / "index.json");
  const Outcome full = dsn_tool(to(temp / "out"), {.file_size_limit = 1024});
  CHECK(full.status == 1);
  CHECK(dsn::read_file(temp.path() / "out" / "index.json") == before);
  CHECK_FALSE(fs::exists(temp / "out.tmp"));
}

// SPDX-License-Identifier: Apache-2.0
// dsn export, and dsn run on what is no bundle.
#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fakes/bundle_parts.h"
#include "fakes/temp_folder.h"
#include "process.h"

using dsn::BundleParts;
using dsn::fakes::TempFolder;
using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> export_args(const BundleParts& parts, const fs::path& out) {
  return {"export", "--supernet", parts.supernet, "--family", parts.family, "--out", out};
}

void truncate_to_half(const fs::path& path) {
  fs::resize_file(path, fs::file_size(path) / 2);
}

}  // namespace

TEST_CASE("dsn export: writes a bundle and prints its manifest with --json") {
  const TempFolder temp;
  const BundleParts parts = dsn::fakes::write_parts(temp.path());
  auto args = export_args(parts, temp / "bundle");
  Outcome outcome = dsn_tool(args);
  CHECK(outcome.status == 0);
  CHECK(has(outcome.out, "wrote"));
  CHECK(has(outcome.out, "level"));
  CHECK(dsn::Bundle::open(temp / "bundle").levels.size() == 2);

  args.push_back("--json");
  outcome = dsn_tool(args);
  CHECK(outcome.status == 0);
  CHECK(outcome.out == dsn::read_file(temp.path() / "bundle" / "manifest.json"));
}

TEST_CASE("dsn export: an unknown format lists what there is") {
  const TempFolder temp;
  auto args = export_args(dsn::fakes::write_parts(temp.path()), temp / "bundle");
  args.insert(args.end(), {"--format", "tflite"});
  const Outcome outcome = dsn_tool(args);
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn export"));
  CHECK(has(outcome.err, "expected: bundle, onnx, torchscript or safetensors"));
}

TEST_CASE(
    "dsn export: truncated, foreign and missing inputs are one line and exit 2, and nothing is written") {
  const TempFolder temp;
  BundleParts parts = dsn::fakes::write_parts(temp.path());
  std::string named;
  SUBCASE("truncated checkpoint") {
    truncate_to_half(parts.supernet);
    named = "supernet.safetensors";
  }
  SUBCASE("safetensors of something else") {
    parts.supernet = temp / "family.bn.safetensors";
    named = "family.bn.safetensors";
  }
  SUBCASE("no safetensors at all") {
    std::ofstream(parts.supernet, std::ios::trunc) << "hello";
    named = "supernet.safetensors";
  }
  SUBCASE("truncated family") {
    truncate_to_half(parts.family);
    named = "family.json";
  }
  SUBCASE("a LUT in the family's place") {
    parts.family = parts.luts.front();
    named = "family.lut.json";
  }
  SUBCASE("truncated LUT") {
    truncate_to_half(parts.luts.front());
    named = "family.lut.json";
  }
  SUBCASE("truncated statistics") {
    truncate_to_half(temp / "family.bn.safetensors");
    named = "family.bn.safetensors";
  }
  SUBCASE("missing checkpoint") {
    fs::remove(parts.supernet);
    named = "supernet.safetensors";
  }
  const Outcome outcome = dsn_tool(export_args(parts, temp / "bundle"));
  CHECK(outcome.status == 2);
  CHECK(outcome.out.empty());
  CHECK_MESSAGE(has(outcome.err, named), outcome.err);
  CHECK(has(outcome.err, "dsn export: error: "));
  CHECK_FALSE(fs::exists(temp / "bundle"));
  CHECK_FALSE(fs::exists(temp / "bundle.tmp"));
}

TEST_CASE("dsn export: a full disk leaves the older bundle as it was") {
  const TempFolder temp;
  const BundleParts parts = dsn::fakes::write_parts(temp.path());
  REQUIRE(dsn_tool(export_args(parts, temp / "bundle")).status == 0);
  const std::string before = dsn::read_file(temp.path() / "bundle" / "manifest.json");
  const Outcome outcome = dsn_tool(export_args(parts, temp / "bundle"), {.file_size_limit = 1024});
  CHECK(outcome.status == 1);
  CHECK(has(outcome.err, "dsn export: error: "));
  CHECK(dsn::read_file(temp.path() / "bundle" / "manifest.json") == before);
  CHECK_FALSE(fs::exists(temp / "bundle.tmp"));
}

TEST_CASE("dsn run: what is no bundle, or no longer the one exported, is one line and exit 2") {
  const TempFolder temp;
  REQUIRE(dsn_tool(export_args(dsn::fakes::write_parts(temp.path()), temp / "bundle")).status == 0);
  fs::path folder = temp / "bundle";
  SUBCASE("another folder") {
    folder = temp.path();
  }
  SUBCASE("no folder") {
    folder = temp / "nowhere";
  }
  SUBCASE("truncated weights") {
    truncate_to_half(folder / "weights.safetensors");
  }
  SUBCASE("truncated manifest") {
    truncate_to_half(folder / "manifest.json");
  }
  SUBCASE("LUT left out") {
    fs::remove(folder / "lut-0.json");
  }
  const Outcome outcome = dsn_tool({"run", folder, "--input", "fashion-mnist", "--target-latency", "5ms"});
  CHECK(outcome.status == 2);
  CHECK(outcome.out.empty());
  CHECK(is_one_error(outcome.err, "dsn run"));
}

TEST_CASE("dsn run and dsn profile: a build without an executor says so and exits 4") {
  if (!has(dsn_tool({"--version"}).out, "executors: none")) return;
  const TempFolder temp;
  const BundleParts parts = dsn::fakes::write_parts(temp.path());
  REQUIRE(dsn_tool(export_args(parts, temp / "bundle")).status == 0);
  Outcome outcome = dsn_tool({"run", temp / "bundle", "--input", "fashion-mnist", "--target-latency", "5ms"});
  CHECK(outcome.status == 4);
  CHECK(is_one_error(outcome.err, "dsn run"));
  CHECK(has(outcome.err, "-Dtorch=enabled"));
  outcome = dsn_tool({"profile", "--supernet", parts.supernet, "--out", temp / "lut.json"});
  CHECK(outcome.status == 4);
  CHECK(has(outcome.err, "-Dtorch=enabled"));
  CHECK_FALSE(fs::exists(temp / "lut.json"));
}

TEST_CASE("dsn profile: a family of another space is refused") {
  const TempFolder temp;
  const BundleParts parts = dsn::fakes::write_parts(temp.path());
  dsn::fakes::write_weights(parts.supernet, dsn::SearchSpace::load("fmnist-mbv3", 2.0), 0.5f);
  const Outcome outcome = dsn_tool(
      {"profile", "--supernet", parts.supernet, "--levels", parts.family, "--out", temp / "lut.json"});
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn profile"));
  CHECK(has(outcome.err, "family.json"));
}

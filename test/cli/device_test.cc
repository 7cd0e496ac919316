// SPDX-License-Identifier: Apache-2.0
// What a device does, with or without LibTorch: measure a family there, make its bundle, run it.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "dsn/core/json.h"
#include "dsn/search/family.h"
#include "dsn/supernet/checkpoint.h"
#include "fakes/bundle_parts.h"
#include "fakes/drawn_weights.h"
#include "fakes/temp_folder.h"
#include "process.h"
#include "small_images.h"

using dsn::test::dsn_tool;
using dsn::test::Outcome;
using Json = nlohmann::json;

TEST_CASE("dsn profile, export and run: a family on the elastic engine, which needs no LibTorch") {
  const dsn::fakes::TempFolder temp;
  const dsn::SearchSpace space = dsn::SearchSpace::load("fmnist-mbv3");
  const dsn::Family family = dsn::fakes::make_family(
      space, dsn::fakes::draw_checkpoint(temp / "net.safetensors", space, "fashion-mnist"));
  dsn::fakes::write_document(temp / "family.json", dsn::pure_envelope("dsn.family", 7, {}, Json::object()),
                             family.to_json());
  std::map<std::string, dsn::TensorView> tensors;
  std::vector<dsn::BnStats> own;
  own.reserve(family.levels.size());
  for (const dsn::Level& level : family.levels) {
    own.push_back(dsn::fakes::draw_statistics(dsn::make_network(space, level.config), 3));
    dsn::append_bn_stats(own.back(), level.bn_prefix, tensors);
  }
  dsn::write_safetensors(temp / family.bn_file, tensors, {});

  const std::string lut = temp / "lut.json", bundle = temp / "bundle";
  const Outcome profiled = dsn_tool({"profile", "--supernet", temp / "net.safetensors", "--levels",
                                     temp / "family.json", "--no-units", "--threads", "1,2", "-r", "3",
                                     "--min-time", "1ms", "--max-time", "5ms", "--out", lut});
  REQUIRE_MESSAGE(profiled.status == 0, profiled.err);
  CHECK(Json::parse(dsn::read_file(lut))["engine"] == "elastic");
  const Outcome exported = dsn_tool({"export", "--supernet", temp / "net.safetensors", "--family",
                                     temp / "family.json", "--lut", lut, "--out", bundle});
  REQUIRE_MESSAGE(exported.status == 0, exported.err);
  dsn::test::write_small_images(temp / "images");
  const Outcome ran = dsn_tool({"run", bundle, "--input", "idx:" + (temp / "images").string(),
                                "--target-latency", "60s", "--frames", "20", "--json"});
  REQUIRE_MESSAGE(ran.status == 0, ran.err);
  const Json report = Json::parse(ran.out);
  CHECK(report["settings"]["engine"] == "elastic");
  CHECK(report["run"]["completed"] == 20);
  // Packed weights are those of the file and little more; two levels' batch norms are next to nothing.
  const auto weights_bytes = report["memory"]["weights_bytes"].get<double>();
  const auto file_bytes = static_cast<double>(std::filesystem::file_size(temp / "net.safetensors"));
  CHECK(weights_bytes > 0.8 * file_bytes);
  CHECK(weights_bytes < 1.5 * file_bytes);
  CHECK(report["memory"]["levels_bytes"].get<double>() < 0.2 * weights_bytes);
  CHECK(report["memory"]["work_bytes"].get<double>() > 0);
}

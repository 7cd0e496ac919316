// SPDX-License-Identifier: Apache-2.0
// What a device does, with or without LibTorch: measure a family there, make its bundle, run it.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "../engine/random_weights.h"
#include "dsn/core/json.h"
#include "dsn/search/family.h"
#include "dsn/supernet/checkpoint.h"
#include "fakes/bundle_parts.h"
#include "fakes/temp_folder.h"
#include "process.h"
#include "small_images.h"

using dsn::test::dsn_tool;
using dsn::test::Outcome;
using Json = nlohmann::json;

TEST_CASE("dsn profile, export and run: a family on the elastic engine, which needs no LibTorch") {
  const dsn::fakes::TempFolder temp;
  const dsn::SearchSpace space = dsn::SearchSpace::load("fmnist-mbv3");
  dsn::test::write_random_weights(temp / "w.safetensors", space);
  const auto weights = dsn::TensorFile::open(temp / "w.safetensors");
  std::vector<std::string> names;
  for (int c = 0; c < space.classes(); ++c) names.push_back("class" + std::to_string(c));
  dsn::write_checkpoint(temp / "net.safetensors",
                        {space, dsn::Preprocessing::for_dataset("fashion-mnist"), names, "fashion-mnist", {}},
                        weights.tensors());
  const dsn::Family family = dsn::fakes::make_family(space, dsn::tensors_sha256(weights.tensors()));
  dsn::fakes::write_document(temp / "family.json", dsn::pure_envelope("dsn.family", 7, {}, Json::object()),
                             family.to_json());
  std::map<std::string, dsn::TensorView> tensors;
  std::vector<dsn::BnStats> own;
  own.reserve(family.levels.size());
  for (const dsn::Level& level : family.levels) {
    own.push_back(dsn::test::random_statistics(dsn::make_network(space, level.config), 3));
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
}

// SPDX-License-Identifier: Apache-2.0
// Small but whole parts of a bundle, for tests: a checkpoint, a family of two levels with its batch-norm
// file, and a LUT. The weights are a few numbers, not a network: nothing here is meant to be run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dsn/core/file.h"
#include "dsn/core/json.h"
#include "dsn/deploy/bundle.h"
#include "dsn/platform/platform.h"
#include "dsn/space/network.h"
#include "dsn/supernet/checkpoint.h"

namespace dsn::fakes {

inline Json one_cpu_platform() {
  return Json::parse(R"({
    "schema": "dsn.platform", "schema_version": 1, "name": "test board",
    "clusters": [{"name": "cpu", "kind": "cpu", "cpus": [0, 1], "opps": [{"freq_hz": 1e9}],
                  "frequencies": {"origin": "modelled", "source": "made up for tests"}}]})");
}

inline std::string write_weights(const fs::path& path, const SearchSpace& space, float value) {
  const std::vector<float> bias(static_cast<std::size_t>(space.classes()), value);
  const std::map<std::string, TensorView> tensors{
      {"classifier.bias", {DType::f32, {space.classes()}, std::as_bytes(std::span(bias))}}};
  std::vector<std::string> names;
  for (int c = 0; c < space.classes(); ++c) names.push_back("class" + std::to_string(c));
  write_checkpoint(path, {space, Preprocessing::for_dataset("fashion-mnist"), names, "fashion-mnist", Json()},
                   tensors);
  return tensors_sha256(tensors);
}

inline void write_statistics(const fs::path& path, const std::vector<std::string>& prefixes) {
  std::vector<BnStats> kept;
  std::map<std::string, TensorView> tensors;
  kept.reserve(prefixes.size());
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    const auto mean = static_cast<float>(i + 1);
    kept.push_back({{"stem.bn", {{mean, mean}, {1.f, 2.f}}}});
    append_bn_stats(kept.back(), prefixes[i], tensors);
  }
  write_safetensors(path, tensors, {});
}

inline Family make_family(const SearchSpace& space, const std::string& weights_sha256) {
  Family family;
  family.space_document = space.document();
  family.space_sha256 = space.sha256();
  family.weights_sha256 = weights_sha256;
  family.bn_file = "family.bn.safetensors";
  family.lut_file = "family.lut.json";
  for (const SubnetConfig& config : {space.smallest(), space.largest()}) {
    Level level;
    level.id = static_cast<int>(family.levels.size());
    level.config = config;
    level.accuracy = 0.90 + 0.03 * level.id;
    level.accuracy_on = "fashion-mnist/test, n=10000";
    level.macs = make_network(space, config).macs();
    level.params = make_network(space, config).params();
    level.predicted_latency_s = 0.001 * (1 + 3 * level.id);
    level.bn_prefix = "level" + std::to_string(level.id);
    family.levels.push_back(level);
  }
  return family;
}

inline Lut make_lut(const SearchSpace& space, const std::vector<SubnetConfig>& levels) {
  const Platform platform = parse_platform(one_cpu_platform(), "test board");
  Lut lut;
  lut.space_document = space.document();
  lut.space_sha256 = space.sha256();
  lut.platform_document = platform.document;
  lut.platform_sha256 = platform.sha256;
  lut.engine = "torch";
  lut.device = "test board";
  for (const SubnetConfig& config : levels) {
    LutLevel row{space.canonical(config), {}};
    LutEntry entry;
    entry.latency_s = 0.001 * static_cast<double>(1 + 3 * lut.levels.size());
    entry.mad_s = 0.00001;
    entry.samples = 100;
    row.at[{"cpu", 1, 1e9, 1}] = entry;
    lut.levels.push_back(row);
  }
  return lut;
}

inline void write_document(const fs::path& path, Json document, const Json& content) {
  document.update(content);
  write_file_atomic(path, dump_json(document));
}

// Writes supernet.safetensors, family.json, family.bn.safetensors and family.lut.json into `folder`.
inline BundleParts write_parts(const fs::path& folder, float weight = 0.5f) {
  const SearchSpace space = SearchSpace::load("fmnist-mbv3");
  const BundleParts parts{
      folder / "supernet.safetensors", folder / "family.json", {folder / "family.lut.json"}};
  const Family family = make_family(space, write_weights(parts.supernet, space, weight));
  write_statistics(folder / family.bn_file, {"level0", "level1"});
  write_document(parts.family, pure_envelope("dsn.family", 7, {}, Json::object()), family.to_json());
  write_document(parts.luts.front(), pure_envelope("dsn.lut", 7, {}, Json::object()),
                 make_lut(space, {space.smallest(), space.largest()}).to_json());
  return parts;
}

}  // namespace dsn::fakes

// SPDX-License-Identifier: Apache-2.0
// A bundle whose network really computes: weights drawn for a whole space, two levels, statistics and costs.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "dsn/core/random.h"
#include "dsn/supernet/tensor_shapes.h"
#include "fakes/bundle_parts.h"

namespace dsn::fakes {

// A whole super-network's tensors, drawn so that activations keep their size from layer to layer.
inline std::map<std::string, std::vector<float>> draw_tensors(const SearchSpace& space, std::uint64_t seed) {
  Rng rng(seed);
  std::map<std::string, std::vector<float>> values;
  for (const auto& [name, shape] : tensor_shapes(space)) {
    std::size_t count = 1;
    for (const std::int64_t n : shape) count *= static_cast<std::size_t>(n);
    const std::size_t fan_in = std::max<std::size_t>(1, count / static_cast<std::size_t>(shape[0]));
    const bool norm = name.find(".bn.") != std::string::npos;
    const bool transform = name.find("transform") != std::string::npos;
    std::vector<float>& drawn = values[name];
    for (std::size_t i = 0; i < count; ++i) {
      const double v = rng.normal();
      double value = std::sqrt(2.0 / static_cast<double>(fan_in)) * v;
      if (norm || shape.size() == 1) value = 0.1 * v;
      if (norm && name.ends_with("weight")) value = 1 + 0.2 * v;
      if (name.ends_with("running_var")) value = 0.5 + std::abs(v);
      if (transform) value = 0.05 * v + (i % fan_in == i / fan_in ? 1 : 0);
      drawn.push_back(static_cast<float>(value));
    }
  }
  return values;
}

inline std::string write_drawn_weights(const fs::path& path, const SearchSpace& space, std::uint64_t seed) {
  const auto values = draw_tensors(space, seed);
  std::map<std::string, TensorView> tensors;
  for (const auto& [name, shape] : tensor_shapes(space))
    tensors[name] = {DType::f32, shape, std::as_bytes(std::span(values.at(name)))};
  std::vector<std::string> names;
  for (int c = 0; c < space.classes(); ++c) names.push_back("class" + std::to_string(c));
  write_checkpoint(path, {space, Preprocessing::for_dataset("fashion-mnist"), names, "fashion-mnist", Json()},
                   tensors);
  return tensors_sha256(tensors);
}

// Statistics of one sub-network of a space of mbconv blocks, drawn.
inline BnStats draw_statistics(const SearchSpace& space, const SubnetConfig& config, std::uint64_t seed) {
  Rng rng(seed);
  BnStats stats;
  const auto add = [&](const std::string& name, int channels) {
    BnLayerStats& layer = stats[name];
    for (int c = 0; c < channels; ++c) {
      layer.mean.push_back(static_cast<float>(0.1 * rng.normal()));
      layer.variance.push_back(static_cast<float>(0.5 + std::abs(rng.normal())));
    }
  };
  for (const Unit& unit : make_network(space, config).units) {
    if (unit.kind == UnitKind::mbconv) {
      if (unit.expands) add(unit.name() + ".expand.bn", unit.mid_channels);
      add(unit.name() + ".depth.bn", unit.mid_channels);
      add(unit.name() + ".project.bn", unit.out_channels);
    } else if (unit.kind == UnitKind::stem || unit.kind == UnitKind::final_expand) {
      add(unit.name() + ".bn", unit.out_channels);
    }
  }
  return stats;
}

struct SmallBundle {
  fs::path path, platform;  // the bundle, and the dsn.platform file that its costs are of
};

// Space fmnist-mbv3 at a quarter of its width, the smallest and the largest level, costs "measured" with each
// engine on one_cpu_platform(): 1 and 4 ms. single_file: as .dsnb.
inline SmallBundle write_small_bundle(const fs::path& folder, const std::vector<std::string>& engines,
                                      bool single_file = false) {
  const SearchSpace space = SearchSpace::load("fmnist-mbv3", 0.25);
  const fs::path parts_folder = folder / "parts";
  fs::create_directory(parts_folder);
  BundleParts parts{parts_folder / "supernet.safetensors", parts_folder / "family.json", {}};
  Family family = make_family(space, write_drawn_weights(parts.supernet, space, 5));
  // The smallest level has statistics of its own, the largest runs on the super-network's.
  family.levels[1].bn_prefix.clear();
  const BnStats own = draw_statistics(space, family.levels[0].config, 6);
  std::map<std::string, TensorView> statistics;
  append_bn_stats(own, family.levels[0].bn_prefix, statistics);
  write_safetensors(parts_folder / family.bn_file, statistics, {});
  write_document(parts.family, pure_envelope("dsn.family", 7, {}, Json::object()), family.to_json());
  Lut lut = make_lut(space, {space.smallest(), space.largest()});
  for (const std::string& engine : engines) {
    lut.engine = engine;
    parts.luts.push_back(parts_folder / (engine + ".lut.json"));
    write_document(parts.luts.back(), pure_envelope("dsn.lut", 7, {}, Json::object()), lut.to_json());
  }
  SmallBundle made{folder / (single_file ? "small.dsnb" : "small"), folder / "board.platform.json"};
  write_bundle(parts, made.path);
  write_file_atomic(made.platform, dump_json(one_cpu_platform()));
  return made;
}

}  // namespace dsn::fakes

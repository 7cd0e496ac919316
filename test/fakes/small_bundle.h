// SPDX-License-Identifier: Apache-2.0
// A bundle whose network really computes: weights drawn for a whole space, two levels, statistics and costs.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "fakes/bundle_parts.h"
#include "fakes/drawn_weights.h"

namespace dsn::fakes {

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
  Family family = make_family(space, draw_checkpoint(parts.supernet, space, "fashion-mnist"));
  // The smallest level has statistics of its own, the largest runs on the super-network's.
  family.levels[1].bn_prefix.clear();
  const BnStats own = draw_statistics(make_network(space, family.levels[0].config));
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

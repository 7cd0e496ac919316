// SPDX-License-Identifier: Apache-2.0
// A space small enough to enumerate, a device for it, and a LUT made from a formula.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/platform/platform.h"
#include "dsn/profile/lut.h"
#include "dsn/profile/probes.h"
#include "dsn/space/network.h"

namespace dsn::fakes {

// 800 sub-networks: two resolutions, two stages of one or two blocks, two kernels and two ratios each.
inline SearchSpace tiny_space(int classes = 4) {
  Json document = Json::parse(R"({
    "schema": "dsn.space", "schema_version": 1, "name": "tiny", "in_channels": 1, "classes": 4, "width_mult": 1,
    "bn_eps": 1e-5, "resolutions": [16, 24],
    "stem": {"channels": 8, "stride": 1, "act": "hswish"}, "first": {"channels": 8, "stride": 1, "act": "relu"},
    "stages": [
      {"channels": 16, "stride": 2, "act": "relu", "se": false, "depth": [1, 2], "expand": [2, 4], "kernel": [3, 5]},
      {"channels": 32, "stride": 2, "act": "hswish", "se": true, "depth": [1, 2], "expand": [2, 4], "kernel": [3, 5]}],
    "head": {"final_expand_channels": 64, "feature_channels": 64, "act": "hswish"}})");
  document["classes"] = classes;
  return SearchSpace::parse(document, "tiny.json");
}

// Every sub-network of a small space, canonical, each once.
inline std::vector<SubnetConfig> enumerate(const SearchSpace& space) {
  std::vector<SubnetConfig> all;
  for (const int resolution : space.resolutions()) {
    SubnetConfig start = space.smallest();
    start.r = resolution;
    std::vector<SubnetConfig> partial = {start};
    for (int s = 0; s < space.stage_count(); ++s) {
      const StageSpace& stage = space.stages()[static_cast<std::size_t>(s)];
      std::vector<SubnetConfig> with_stage;
      for (SubnetConfig config : partial) {
        for (const int depth : stage.depth) {
          config.d[static_cast<std::size_t>(s)] = depth;
          std::vector<SubnetConfig> with_blocks = {config};
          for (int i = 0; i < depth; ++i) {
            const auto block = static_cast<std::size_t>(space.first_block(s) + i);
            std::vector<SubnetConfig> next;
            for (SubnetConfig c : with_blocks) {
              for (const double expand : stage.expand) {
                for (const int kernel : stage.kernel) {
                  c.e[block] = expand;
                  c.k[block] = kernel;
                  next.push_back(c);
                }
              }
            }
            with_blocks = std::move(next);
          }
          with_stage.insert(with_stage.end(), with_blocks.begin(), with_blocks.end());
        }
      }
      partial = std::move(with_stage);
    }
    all.insert(all.end(), partial.begin(), partial.end());
  }
  return all;
}

// One cluster "cpu" of two cores with these frequencies.
inline Platform one_cluster(const std::vector<double>& freqs_hz = {1e9}) {
  Json opps = Json::array();
  for (const double freq : freqs_hz) opps.push_back({{"freq_hz", freq}});
  return parse_platform({{"schema", "dsn.platform"},
                         {"schema_version", 1},
                         {"name", "test board"},
                         {"clusters",
                          {{{"name", "cpu"},
                            {"kind", "cpu"},
                            {"cpus", {0, 1}},
                            {"knob", "policy0"},
                            {"frequencies", {{"origin", "measured"}, {"source", "the test"}}},
                            {"opps", opps}}}}},
                        "board.json");
}

// Seconds of a unit on an imaginary device: a fixed part, MACs, and more for large kernels.
inline double unit_formula(const Unit& unit) {
  return 2e-5 + static_cast<double>(unit.macs()) * 1e-9 * (1 + 0.05 * unit.kernel);
}

// A LUT of every unit of `space` at `point`, by formula.
inline Lut formula_lut(const SearchSpace& space, const Platform& platform, const OperatingPoint& point) {
  Lut lut;
  lut.space_document = space.document();
  lut.space_sha256 = space.sha256();
  lut.platform_document = platform.document;
  lut.platform_sha256 = platform.sha256;
  lut.engine = "fake";
  lut.device = "a formula";
  for (const SubnetConfig& config : cover_units(space, unit_keys(space), 0, 1)) {
    for (const Unit& unit : make_network(space, config).units) {
      LutEntry entry;
      entry.latency_s = unit_formula(unit);
      entry.latency_origin = Origin::modelled;
      lut.units[unit.key()][point] = entry;
    }
  }
  return lut;
}

}  // namespace dsn::fakes

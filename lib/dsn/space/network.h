// SPDX-License-Identifier: Apache-2.0
// A sub-network spelled out: the units it runs, with every shape. The one place that knows how a SubnetConfig
// becomes layers; counting, profiling, executors and export all read it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dsn/space/search_space.h"

namespace dsn {

enum class UnitKind {
  stem,           // 3x3 + bn + act
  stem_residual,  // input + act(3x3 + bn)
  stem_pool,      // 3x3 + bn + act, max pool 3x3 with stride 2
  mbconv,         // [expand 1x1 + bn + act] depthwise + bn + act [+ SE] project 1x1 + bn [+ residual]
  bottleneck,     // 1x1 + bn + act, conv + bn + act, 1x1 + bn; plus the input (residual) or else 1x1 + bn of
                  // the input averaged over the stride; act
  final_expand,   // 1x1 + bn + act
  feature_mix,    // global average pool, 1x1 without bias or batch norm, act
  classifier,     // global average pool unless a feature_mix did it (in_size 1), linear with bias
};

// One unit of a network.
struct Unit {
  UnitKind kind = UnitKind::stem;
  int block = -1;  // elastic block index, -1 for stem, first block and head
  int in_channels = 0, mid_channels = 0, out_channels = 0;  // mid: inside a block; else == in
  int kernel = 1, stride = 1;
  int se_channels = 0;                     // 0: no squeeze-and-excitation
  bool expands = false, residual = false;  // residual: adds its input as it is
  Activation act = Activation::none;
  int in_size = 0, out_size = 0;  // feature map height and width, pixels

  // Multiply-accumulates of convolutions and linear layers at batch 1 (SE's included; batch norm, activation,
  // pooling not).
  [[nodiscard]] std::int64_t macs() const noexcept;
  // Learned values: weights, biases, batch-norm scale and shift (not running statistics).
  [[nodiscard]] std::int64_t params() const noexcept;
  // What its tensors in a checkpoint start with: "stem", "stem.residual", "first", "blocks.3", "classifier".
  [[nodiscard]] std::string name() const;
  // Identifies the cost of this unit in a LUT: "mbconv-14x14x24-7x7x40-mid96-k5-s2-hswish-se24-exp1-res0".
  [[nodiscard]] std::string key() const;
};

struct Network {
  int resolution = 0, in_channels = 0, classes = 0;
  std::vector<Unit> units;
  [[nodiscard]] std::int64_t macs() const noexcept;
  [[nodiscard]] std::int64_t params() const noexcept;
};

// Throws as SearchSpace::validate().
[[nodiscard]] Network make_network(const SearchSpace& space, const SubnetConfig& config);

// The deepest and widest sub-networks at a resolution in which every block takes its choice number `expand`
// and number `kernel` (its last one where it has fewer). Going through both numbers shows every unit of a
// space of fixed width at that resolution.
[[nodiscard]] SubnetConfig uniform_config(const SearchSpace& space, int resolution, std::size_t expand,
                                          std::size_t kernel);
// How many choices the blocks have that have the most.
struct MostChoices {
  std::size_t expand = 0, kernel = 0;
};
[[nodiscard]] MostChoices most_choices(const SearchSpace& space);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Whole sets of weights for any space without LibTorch: drawn so that every value matters, and activations
// keep their size from layer to layer.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "dsn/core/random.h"
#include "dsn/core/safetensors.h"
#include "dsn/deploy/folded_network.h"
#include "dsn/supernet/tensor_shapes.h"

namespace dsn::testing {

inline TensorFile drawn_weights(const SearchSpace& space, const fs::path& path) {
  Rng rng(11);
  std::map<std::string, std::vector<float>> values;
  std::map<std::string, TensorView> tensors;
  for (const auto& [name, shape] : tensor_shapes(space)) {
    std::size_t count = 1;
    for (const std::int64_t n : shape) count *= static_cast<std::size_t>(n);
    const std::size_t fan_in = std::max<std::size_t>(1, count / static_cast<std::size_t>(shape[0]));
    std::vector<float>& drawn = values[name];
    drawn.resize(count);
    const bool norm = name.find(".bn.") != std::string::npos;
    // What is added to a shortcut: small, or sums would grow from block to block and logits cancel.
    const bool residual =
        norm && (name.find(".project.") != std::string::npos || name.find(".conv3.") != std::string::npos);
    for (std::size_t i = 0; i < count; ++i) {
      const double v = rng.normal();
      const bool diagonal = name.find("transform") != std::string::npos && i % fan_in == i / fan_in;
      drawn[i] = static_cast<float>(name.ends_with("running_var")          ? 0.5 + std::abs(v)
                                    : residual && name.ends_with("weight") ? 0.3 + 0.05 * v
                                    : norm && name.ends_with("weight")     ? 1 + 0.2 * v
                                    : norm || shape.size() == 1            ? 0.1 * v
                                    : name.find("transform") != std::string::npos
                                        ? 0.05 * v + (diagonal ? 1 : 0)
                                        : std::sqrt(2.0 / static_cast<double>(fan_in)) * v);
    }
    tensors[name] = {DType::f32, shape, std::as_bytes(std::span(drawn))};
  }
  write_safetensors(path, tensors, {});
  return TensorFile::open(path);
}

// Statistics of `config` that are not the shared ones.
inline BnStats drawn_statistics(const SearchSpace& space, const SubnetConfig& config) {
  Rng rng(12);
  BnStats stats;
  const auto norm = [&](const std::string& layer, int channels) {
    BnLayerStats& own = stats[layer + ".bn"];
    for (int c = 0; c < channels; ++c) {
      own.mean.push_back(static_cast<float>(0.1 * rng.normal()));
      own.variance.push_back(static_cast<float>(0.5 + rng.uniform()));
    }
  };
  for (const Unit& unit : make_network(space, config).units) {
    const std::string name = unit.name();
    switch (unit.kind) {
      case UnitKind::mbconv:
        if (unit.expands) norm(name + ".expand", unit.mid_channels);
        norm(name + ".depth", unit.mid_channels);
        norm(name + ".project", unit.out_channels);
        break;
      case UnitKind::bottleneck:
        norm(name + ".conv1", unit.mid_channels);
        norm(name + ".conv2", unit.mid_channels);
        norm(name + ".conv3", unit.out_channels);
        if (!unit.residual) norm(name + ".shortcut", unit.out_channels);
        break;
      case UnitKind::feature_mix:
      case UnitKind::classifier:
        break;
      default:
        norm(name, unit.out_channels);
    }
  }
  return stats;
}

// Sub-networks of a shipped space at a small resolution, odd enough that pools cut their last window: both
// ends and two between.
inline std::vector<SubnetConfig> some_of(const SearchSpace& space) {
  Rng rng(13);
  const int r = space.resolutions().front();
  std::vector<SubnetConfig> configs{space.largest(), space.smallest(), space.sample(rng), space.sample(rng)};
  for (SubnetConfig& config : configs) {
    config.r = r;
    config = space.canonical(config);
  }
  return configs;
}

inline std::vector<float> drawn_images(const FoldedNetwork& net, int n) {
  Rng rng(14);
  std::vector<float> values(static_cast<std::size_t>(n * net.in_channels * net.resolution * net.resolution));
  for (float& v : values) v = static_cast<float>(rng.normal());
  return values;
}

// Largest difference over the largest expected value.
inline double relative_difference(const std::vector<float>& expected, const std::vector<float>& found) {
  if (expected.size() != found.size()) return 1e9;
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    difference = std::max(difference, std::abs(static_cast<double>(expected[i]) - found[i]));
  }
  return largest > 1e-3 ? difference / largest : 1e9;
}

}  // namespace dsn::testing

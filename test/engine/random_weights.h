// SPDX-License-Identifier: Apache-2.0
// A super-network's weights as training might leave them: made up, on disk, no LibTorch.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "dsn/core/random.h"
#include "dsn/core/safetensors.h"
#include "dsn/space/bn_stats.h"
#include "dsn/space/network.h"
#include "dsn/supernet/tensor_shapes.h"

namespace dsn::test {

// Activations keep their size from layer to layer, so that an error anywhere shows in the logits.
inline void write_random_weights(const fs::path& path, const SearchSpace& space, std::uint64_t seed = 5) {
  std::map<std::string, std::vector<float>> values;
  std::map<std::string, TensorView> views;
  for (const auto& [name, shape] : tensor_shapes(space)) {
    Rng rng = Rng::stream(seed, name);
    std::size_t count = 1, reads = 1;  // reads: inputs of one output
    for (std::size_t i = 0; i < shape.size(); ++i) {
      count *= static_cast<std::size_t>(shape[i]);
      if (i > 0) reads *= static_cast<std::size_t>(shape[i]);
    }
    std::vector<float>& v = values[name];
    v.resize(count);
    const bool transform = name.find(".transform_") != std::string::npos;
    for (std::size_t i = 0; i < count; ++i) {
      if (name.ends_with("running_var")) {
        v[i] = static_cast<float>((0.5 + 1.5 * rng.uniform()));
      } else if (transform) {
        v[i] = static_cast<float>((i % (reads + 1) == 0 ? 1.0 : 0.0) + 0.1 * rng.normal());
      } else if (shape.size() > 1) {
        v[i] = static_cast<float>(rng.normal() * std::sqrt(2.0 / static_cast<double>(reads)));
      } else {
        v[i] = static_cast<float>((name.ends_with("bn.weight") ? 1.0 : 0.0) + 0.2 * rng.normal());
      }
    }
    views[name] = {DType::f32, shape, std::as_bytes(std::span(v))};
  }
  write_safetensors(path, views, {});
}

// Statistics of their own for every batch norm of `net`.
inline BnStats random_statistics(const Network& net, std::uint64_t seed) {
  Rng rng(seed);
  BnStats stats;
  const auto add = [&](const std::string& name, int channels) {
    BnLayerStats& s = stats[name];
    for (int c = 0; c < channels; ++c) {
      s.mean.push_back(static_cast<float>(0.3 * rng.normal()));
      s.variance.push_back(static_cast<float>((0.5 + 1.5 * rng.uniform())));
    }
  };
  for (const Unit& unit : net.units) {
    const std::string name = unit.name();
    switch (unit.kind) {
      case UnitKind::mbconv:
        if (unit.expands) add(name + ".expand.bn", unit.mid_channels);
        add(name + ".depth.bn", unit.mid_channels);
        add(name + ".project.bn", unit.out_channels);
        break;
      case UnitKind::bottleneck:
        add(name + ".conv1.bn", unit.mid_channels);
        add(name + ".conv2.bn", unit.mid_channels);
        add(name + ".conv3.bn", unit.out_channels);
        if (!unit.residual) add(name + ".shortcut.bn", unit.out_channels);
        break;
      case UnitKind::feature_mix:
      case UnitKind::classifier:
        break;
      default:
        add(name + ".bn", unit.out_channels);
    }
  }
  return stats;
}

inline std::vector<float> random_images(const Network& net, int batch, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(static_cast<std::size_t>(batch * net.in_channels * net.resolution * net.resolution));
  for (float& v : x) v = static_cast<float>(rng.normal());
  return x;
}

// Largest difference over the largest expected value; infinity for what is not a number.
inline double difference(std::span<const float> found, std::span<const float> expected) {
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double d = std::abs(static_cast<double>(found[i]) - expected[i]);
    worst = std::isfinite(d) ? std::max(worst, d) : INFINITY;
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  return worst / largest;
}

}  // namespace dsn::test

// SPDX-License-Identifier: Apache-2.0
// Weights, statistics and images for any space, drawn instead of trained: no LibTorch, no data.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "dsn/core/random.h"
#include "dsn/core/safetensors.h"
#include "dsn/space/bn_stats.h"
#include "dsn/space/network.h"
#include "dsn/supernet/checkpoint.h"
#include "dsn/supernet/tensor_shapes.h"

namespace dsn::fakes {

// Values of a tensor of a super-network. Every value matters, and activations keep their size from layer to
// layer, so that an error anywhere shows in the logits.
inline std::vector<float> draw_tensor(const std::string& name, const std::vector<std::int64_t>& shape,
                                      std::uint64_t seed) {
  Rng rng = Rng::stream(seed, name);
  std::size_t count = 1;
  for (const std::int64_t n : shape) count *= static_cast<std::size_t>(n);
  const std::size_t fan_in = std::max<std::size_t>(1, count / static_cast<std::size_t>(shape[0]));
  const bool norm = name.find(".bn.") != std::string::npos;
  const bool transform = name.find(".transform_") != std::string::npos;
  // What is added to a shortcut: small, or sums would grow from block to block and logits cancel.
  const bool added = name.find(".project.") != std::string::npos || name.find(".conv3.") != std::string::npos;
  std::vector<float> drawn(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double v = rng.normal();
    double value = std::sqrt(2.0 / static_cast<double>(fan_in)) * v;
    if (norm || shape.size() == 1) value = 0.1 * v;
    if (norm && name.ends_with("weight")) value = added ? 0.3 + 0.05 * v : 1 + 0.2 * v;
    if (name.ends_with("running_var")) value = 0.5 + std::abs(v);
    if (transform) value = 0.05 * v + (i % fan_in == i / fan_in ? 1 : 0);
    drawn[i] = static_cast<float>(value);
  }
  return drawn;
}

// A whole super-network on disk, without a record of its making.
inline TensorFile draw_weights(const fs::path& path, const SearchSpace& space, std::uint64_t seed = 5) {
  std::map<std::string, std::vector<float>> values;
  std::map<std::string, TensorView> tensors;
  for (const auto& [name, shape] : tensor_shapes(space)) {
    values[name] = draw_tensor(name, shape, seed);
    tensors[name] = {DType::f32, shape, std::as_bytes(std::span(values[name]))};
  }
  write_safetensors(path, tensors, {});
  return TensorFile::open(path);
}

// The same as a checkpoint, as for images of `dataset`; returns its weights' sha256.
inline std::string draw_checkpoint(const fs::path& path, const SearchSpace& space, const std::string& dataset,
                                   std::uint64_t seed = 5) {
  const fs::path plain = path.string() + ".plain";
  const TensorFile weights = draw_weights(plain, space, seed);
  std::vector<std::string> names;
  for (int c = 0; c < space.classes(); ++c) names.push_back("class" + std::to_string(c));
  write_checkpoint(path, {space, Preprocessing::for_dataset(dataset), names, dataset, Json()},
                   weights.tensors());
  fs::remove(plain);
  return tensors_sha256(weights.tensors());
}

// Statistics of its own for every batch norm of `net`.
inline BnStats draw_statistics(const Network& net, std::uint64_t seed = 12) {
  Rng rng(seed);
  BnStats stats;
  const auto add = [&](const std::string& layer, int channels) {
    BnLayerStats& own = stats[layer + ".bn"];
    for (int c = 0; c < channels; ++c) {
      own.mean.push_back(static_cast<float>(0.2 * rng.normal()));
      own.variance.push_back(static_cast<float>(0.5 + 1.5 * rng.uniform()));
    }
  };
  for (const Unit& unit : net.units) {
    const std::string name = unit.name();
    switch (unit.kind) {
      case UnitKind::mbconv:
        if (unit.expands) add(name + ".expand", unit.mid_channels);
        add(name + ".depth", unit.mid_channels);
        add(name + ".project", unit.out_channels);
        break;
      case UnitKind::bottleneck:
        add(name + ".conv1", unit.mid_channels);
        add(name + ".conv2", unit.mid_channels);
        add(name + ".conv3", unit.out_channels);
        if (!unit.residual) add(name + ".shortcut", unit.out_channels);
        break;
      case UnitKind::feature_mix:
      case UnitKind::classifier:
        break;
      default:
        add(name, unit.out_channels);
    }
  }
  return stats;
}

// Both ends of a shipped space and two sub-networks between, at its smallest resolution.
inline std::vector<SubnetConfig> some_subnets(const SearchSpace& space) {
  Rng rng(13);
  std::vector<SubnetConfig> configs{space.largest(), space.smallest(), space.sample(rng), space.sample(rng)};
  for (SubnetConfig& config : configs) {
    config.r = space.resolutions().front();
    config = space.canonical(config);
  }
  return configs;
}

// Net: Network or FoldedNetwork. float32 [n, C, r, r].
template <typename Net>
std::vector<float> draw_images(const Net& net, int n, std::uint64_t seed = 14) {
  Rng rng(seed);
  std::vector<float> values(static_cast<std::size_t>(n * net.in_channels * net.resolution * net.resolution));
  for (float& v : values) v = static_cast<float>(rng.normal());
  return values;
}

// Largest difference over the largest expected value; infinity for what is no number, of another size, or
// held against nothing but zeros.
inline double relative_difference(std::span<const float> found, std::span<const float> expected) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (found.size() != expected.size()) return kInfinity;
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double d = std::abs(static_cast<double>(found[i]) - expected[i]);
    worst = std::isfinite(d) ? std::max(worst, d) : kInfinity;
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  return largest > 1e-3 ? worst / largest : kInfinity;
}

}  // namespace dsn::fakes

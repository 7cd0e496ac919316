// SPDX-License-Identifier: Apache-2.0
// A small space and a learnable data set for tests of the super-network.
#pragma once

#include <string>
#include <vector>

#include "dsn/core/random.h"
#include "dsn/data/dataset.h"
#include "dsn/space/search_space.h"

namespace dsn::testing {

// 12x12 and 16x16 grey images, two stages (the second with SE), kernels 3, 5, 7: a few thousand weights.
inline SearchSpace tiny_space() {
  return SearchSpace::parse(Json::parse(R"({
    "schema": "dsn.space", "schema_version": 1, "name": "tiny", "source": "test", "in_channels": 1, "classes": 3,
    "width_mult": 1.0, "bn_eps": 1e-5, "resolutions": [12, 16],
    "stem": {"channels": 8, "stride": 1, "act": "hswish"}, "first": {"channels": 8, "stride": 2, "act": "relu"},
    "stages": [
      {"channels": 8, "stride": 1, "act": "relu", "se": false, "depth": [1, 2], "expand": [2, 3], "kernel": [3, 5, 7]},
      {"channels": 16, "stride": 2, "act": "hswish", "se": true, "depth": [1, 2], "expand": [2, 4], "kernel": [3, 5]}],
    "head": {"final_expand_channels": 32, "feature_channels": 24, "act": "hswish"}})"),
                            "tiny");
}

// The same kind of network with one elastic width for all layers, and relu6.
inline SearchSpace tiny_slimmable() {
  return SearchSpace::parse(Json::parse(R"({
    "schema": "dsn.space", "schema_version": 1, "name": "tiny-slimmable", "source": "test", "in_channels": 1,
    "classes": 3, "width_mult": 1.0, "bn_eps": 1e-5, "resolutions": [12, 16], "width": [0.5, 0.75, 1.0],
    "stem": {"channels": 16, "stride": 1, "act": "hswish"}, "first": {"channels": 16, "stride": 2, "act": "relu6"},
    "stages": [
      {"channels": 16, "stride": 1, "act": "relu6", "se": false, "depth": [1, 2], "expand": [2, 3], "kernel": [7]},
      {"channels": 32, "stride": 2, "act": "hswish", "se": true, "depth": [1, 2], "expand": [2, 4], "kernel": [5]}],
    "head": {"final_expand_channels": 48, "feature_channels": 32, "act": "hswish"}})"),
                            "tiny-slimmable");
}

// Bottlenecks with elastic stem and a width ratio per stage.
inline SearchSpace tiny_bottlenecks() {
  return SearchSpace::parse(Json::parse(R"({
    "schema": "dsn.space", "schema_version": 1, "name": "tiny-bottlenecks", "source": "test", "in_channels": 1,
    "classes": 3, "width_mult": 1.0, "bn_eps": 1e-5, "resolutions": [12, 20], "block": "bottleneck",
    "width": [0.5, 1.0], "width_per": "stage",
    "stem": {"channels": 32, "stride": 2, "act": "relu", "depth": [0, 1]},
    "stages": [
      {"channels": 48, "stride": 1, "act": "relu", "depth": [1, 2], "expand": [0.25, 0.5], "kernel": [3]},
      {"channels": 64, "stride": 2, "act": "relu", "depth": [1, 2], "expand": [0.25, 0.5], "kernel": [3]}]})"),
                            "tiny-bottlenecks");
}

// Three classes: horizontal, vertical and diagonal stripes with noise, drawn from a seed.
class StripeDataset : public Dataset {
 public:
  StripeDataset(std::size_t count, std::uint64_t seed, std::string name) : name_(std::move(name)) {
    Rng rng(seed);
    for (std::size_t i = 0; i < count; ++i) {
      const int label = static_cast<int>(rng.below(3)), phase = static_cast<int>(rng.below(4));
      Image image{16, 16, 1, std::vector<std::uint8_t>(256)};
      for (int y = 0; y < 16; ++y) {
        for (int x = 0; x < 16; ++x) {
          const int along = label == 0 ? y : label == 1 ? x : x + y;
          const double value = ((along + phase) / 2 % 2 == 0 ? 60.0 : 190.0) + 25.0 * rng.normal();
          image.pixels[static_cast<std::size_t>(y * 16 + x)] =
              static_cast<std::uint8_t>(value < 0     ? 0
                                        : value > 255 ? 255
                                                      : value);
        }
      }
      images_.push_back(std::move(image));
      labels_.push_back(label);
    }
  }
  [[nodiscard]] std::size_t size() const noexcept override { return images_.size(); }
  [[nodiscard]] int classes() const noexcept override { return 3; }
  [[nodiscard]] const std::vector<std::string>& class_names() const noexcept override { return class_names_; }
  [[nodiscard]] Image image(std::size_t index) const override { return images_[index]; }
  [[nodiscard]] int label(std::size_t index) const override { return labels_[index]; }
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }

 private:
  std::string name_;
  std::vector<std::string> class_names_{"rows", "columns", "diagonals"};
  std::vector<Image> images_;
  std::vector<int> labels_;
};

}  // namespace dsn::testing

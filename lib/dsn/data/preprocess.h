// SPDX-License-Identifier: Apache-2.0
// From 8-bit images to network input, the same arithmetic in training, profiling and `dsn run`; and augmentation.
#pragma once

#include <span>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/core/random.h"
#include "dsn/data/dataset.h"

namespace dsn {

// How images become input; stored in checkpoints and bundles.
struct Preprocessing {
  int channels = 1;                // 1: grey (colour is converted with BT.601 weights), 3: RGB (grey is repeated)
  std::vector<float> mean{0.f};    // per channel, of pixels scaled to 0..1
  std::vector<float> stddev{1.f};  // per channel
  // Part of the shorter side that the square crop keeps: 1 resizes the centre square to r; ImageNet practice is 0.875.
  double crop = 1.0;

  [[nodiscard]] Json to_json() const;
  static Preprocessing from_json(const JsonView& json);
  // Known sets: fashion-mnist, cifar10, else ImageNet's mean and deviation with crop 0.875.
  static Preprocessing for_dataset(const std::string& spec);
};

// image -> out: float32 [channels, r, r] (planar), centre square, bilinear with the filter widened when shrinking (antialias), normalised.
void preprocess(const Image& image, const Preprocessing& how, int r, std::span<float> out);

struct Augmentation {
  int pad = 2;                // random shift by up to `pad` pixels, edges filled with zero (small images)
  bool flip = true;           // horizontal, probability 1/2
  double erase = 0.0;         // probability of erasing a random rectangle
  double min_area = 1.0;      // < 1: random resized crop of at least this share of the area (large images)
};

// Random variant of `image` (same size when min_area is 1), drawn from rng.
[[nodiscard]] Image augment(const Image& image, const Augmentation& how, Rng& rng);

// Bilinear resize of a region [x, y, w, h] (pixels, may be fractional) of `image` to out_w x out_h planar floats 0..255.
void resize_region(const Image& image, double x, double y, double w, double h, int out_w, int out_h, std::span<float> out);

}  // namespace dsn

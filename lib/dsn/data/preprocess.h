// SPDX-License-Identifier: Apache-2.0
// From 8-bit images to network input, the same arithmetic in training, profiling and `dsn run`; and
// augmentation.
#pragma once

#include <span>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/core/random.h"
#include "dsn/data/dataset.h"

namespace dsn {

// How images become input; stored in checkpoints and bundles.
struct Preprocessing {
  int channels = 1;  // 1: grey (colour is converted with BT.601 weights), 3: RGB (grey is repeated)
  std::vector<float> mean{0.f};    // per channel, of pixels scaled to 0..1
  std::vector<float> stddev{1.f};  // per channel
  // Part of the shorter side that the square crop keeps: 1 resizes the centre square to r; ImageNet practice
  // is 0.875.
  double crop = 1.0;

  // {"channels", "mean", "stddev", "crop"}; reads back as exactly the same values.
  [[nodiscard]] Json to_json() const;
  // Throws Error{bad_input} with file and JSON pointer.
  static Preprocessing from_json(const JsonView& json);
  // Known sets: fashion-mnist, idx (MNIST's values), cifar10; else ImageNet's mean and deviation with crop
  // 0.875.
  static Preprocessing for_dataset(const std::string& spec);
};

// image -> out: float32 [channels, r, r] (planar), centre square, bilinear with the filter widened when
// shrinking (antialias), normalised. An r x r crop is taken pixel by pixel, without filtering. thread-safe.
// Throws Error{bad_input} if image, how, r and out do not fit together.
void preprocess(const Image& image, const Preprocessing& how, int r, std::span<float> out);

struct Augmentation {
  int pad = 2;         // random shift by up to `pad` pixels, edges filled with zero (small images)
  bool flip = true;    // horizontal, probability 1/2
  double erase = 0.0;  // probability of filling a random rectangle, 2 % to 33 % of the image, with noise
  // < 1: random crop of at least this share of the area, aspect 3:4 to 4:3, resized to a square (large
  // images). The square is all of the crop: preprocess it with Preprocessing::crop 1.
  double min_area = 1.0;
};

// Random variant of `image` (same size when min_area is 1), drawn from rng. thread-safe with an rng per
// thread. Throws Error{bad_input} for values out of range.
[[nodiscard]] Image augment(const Image& image, const Augmentation& how, Rng& rng);

// Bilinear resize of a region [x, y, w, h] (pixels, may be fractional) of `image` to planar floats 0..255:
// out: float32 [channels, out_h, out_w]. Pixel centres lie at i + 0.5; when shrinking, the triangle filter
// widens to the step between output pixels. At the region's edges the filter reads on into the image, at the
// image's edges it is cut. Throws Error{bad_input} if the region is not inside the image or out has another
// size. thread-safe.
void resize_region(const Image& image, double x, double y, double w, double h, int out_w, int out_h,
                   std::span<float> out);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "dsn/core/error.h"
#include "dsn/data/preprocess.h"

namespace dsn {
namespace {

void check(const Augmentation& how) {
  if (how.pad < 0 || !(how.erase >= 0 && how.erase <= 1) || !(how.min_area > 0 && how.min_area <= 1)) {
    throw Error(ErrorCode::bad_input,
                fmt::format("augmentation has pad {}, erase {} and min_area {}: expected pad from 0, "
                            "erase in 0..1, min_area above 0 and up to 1",
                            how.pad, how.erase, how.min_area));
  }
}

double uniform(Rng& rng, double low, double high) {
  return low + (high - low) * rng.uniform();
}

// Uniform in the logarithm, so that a shape and its transpose are equally likely.
double random_aspect(Rng& rng, double low) {
  return std::exp(uniform(rng, std::log(low), -std::log(low)));
}

// Part of the image with at least min_area of its area and, where that fits, an aspect of 3:4 to 4:3, resized
// to a square of about as many pixels.
Image random_resized_crop(const Image& image, double min_area, Rng& rng) {
  const double width = image.width;
  const double height = image.height;
  const double whole = width * height;
  double area = whole * uniform(rng, min_area, 1.0);
  const double aspect = random_aspect(rng, 3.0 / 4.0);
  // The largest area of this aspect that fits; only min_area may force another aspect.
  const double fits = std::min(width * width / aspect, height * height * aspect);
  area = std::min(area, std::max(fits, min_area * whole));
  const double h = std::clamp(std::sqrt(area / aspect), area / width, height);
  const double w = std::min(area / h, width);
  const double x = uniform(rng, 0, width - w);
  const double y = uniform(rng, 0, height - h);

  const int side = std::max(1, static_cast<int>(std::lround(std::sqrt(w * h))));
  const auto channels = static_cast<std::size_t>(image.channels);
  const std::size_t plane = static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
  std::vector<float> planes(plane * channels);
  resize_region(image, x, y, w, h, side, side, planes);
  Image result{side, side, image.channels, std::vector<std::uint8_t>(plane * channels)};
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < plane; ++i) {
      // Weights are positive and sum to 1, so that values stay in 0..255 but for rounding.
      result.pixels[i * channels + c] =
          static_cast<std::uint8_t>(std::clamp(planes[c * plane + i] + 0.5f, 0.f, 255.f));
    }
  }
  return result;
}

// Moves the picture by (dx, dy); what comes in from outside is zero.
Image shift(const Image& image, int dx, int dy) {
  Image result{image.width, image.height, image.channels, std::vector<std::uint8_t>(image.pixels.size())};
  const int count = (image.width - std::abs(dx)) * image.channels;
  if (count <= 0) return result;
  const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(image.width) * image.channels;
  for (int y = std::max(0, dy); y < std::min(image.height, image.height + dy); ++y) {
    const auto from = image.pixels.begin() + (y - dy) * stride + std::max(0, -dx) * image.channels;
    std::copy(from, from + count, result.pixels.begin() + y * stride + std::max(0, dx) * image.channels);
  }
  return result;
}

void mirror(Image& image) {
  const auto channels = static_cast<std::size_t>(image.channels);
  const auto width = static_cast<std::size_t>(image.width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(image.height); ++y) {
    std::uint8_t* row = image.pixels.data() + y * width * channels;
    for (std::size_t left = 0, right = width - 1; left < right; ++left, --right) {
      std::swap_ranges(row + left * channels, row + (left + 1) * channels, row + right * channels);
    }
  }
}

// Noise over a rectangle of 2 % to 33 % of the image: Zhong et al., Random Erasing Data Augmentation, AAAI
// 2020.
void erase_rectangle(Image& image, Rng& rng) {
  const double area = uniform(rng, 0.02, 0.33) * image.width * image.height;
  const double aspect = random_aspect(rng, 0.3);
  const int w = std::clamp(static_cast<int>(std::lround(std::sqrt(area * aspect))), 1, image.width);
  const int h = std::clamp(static_cast<int>(std::lround(std::sqrt(area / aspect))), 1, image.height);
  const auto x = static_cast<std::size_t>(rng.below(static_cast<std::uint64_t>(image.width - w) + 1));
  const auto y = static_cast<std::size_t>(rng.below(static_cast<std::uint64_t>(image.height - h) + 1));
  const auto channels = static_cast<std::size_t>(image.channels);
  const std::size_t stride = static_cast<std::size_t>(image.width) * channels;
  std::uint64_t noise = 0;
  std::size_t drawn = 0;
  for (std::size_t row = 0; row < static_cast<std::size_t>(h); ++row) {
    std::uint8_t* pixel = image.pixels.data() + (y + row) * stride + x * channels;
    for (std::size_t i = 0; i < static_cast<std::size_t>(w) * channels; ++i, ++drawn) {
      if (drawn % 8 == 0) noise = rng();
      pixel[i] = static_cast<std::uint8_t>(noise >> (drawn % 8 * 8));
    }
  }
}

}  // namespace

Image augment(const Image& image, const Augmentation& how, Rng& rng) {
  check(how);
  Image result = how.min_area < 1 ? random_resized_crop(image, how.min_area, rng) : image;
  if (how.pad > 0) {
    const auto span = 2 * static_cast<std::uint64_t>(how.pad) + 1;
    const int dx = static_cast<int>(rng.below(span)) - how.pad;
    const int dy = static_cast<int>(rng.below(span)) - how.pad;
    if (dx != 0 || dy != 0) result = shift(result, dx, dy);
  }
  if (how.flip && rng.uniform() < 0.5) mirror(result);
  if (how.erase > 0 && rng.uniform() < how.erase) erase_rectangle(result, rng);
  return result;
}

}  // namespace dsn

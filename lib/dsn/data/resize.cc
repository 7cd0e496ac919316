// SPDX-License-Identifier: Apache-2.0
// Separable triangle filter. Pixel i covers [i, i + 1); output o samples at its centre. When shrinking, the
// filter is as wide as the step between samples, so that every source pixel counts (antialias); otherwise it
// is plain bilinear. Where the filter reaches over the edge of the image it is cut and its weights are
// normalised again.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "dsn/core/error.h"
#include "dsn/data/preprocess.h"

namespace dsn {
namespace {

// The source pixels that make one output pixel; their weights start at Axis::weights[offset].
struct Window {
  int first;
  int count;
  std::size_t offset;
};

struct Axis {
  std::vector<Window> windows;
  std::vector<float> weights;
};

Axis make_axis(double start, double length, int in_size, int out_size) {
  const double step = length / out_size;
  const double reach = std::max(step, 1.0);
  Axis axis;
  axis.windows.reserve(static_cast<std::size_t>(out_size));
  axis.weights.reserve(static_cast<std::size_t>(out_size) *
                       static_cast<std::size_t>(std::ceil(2 * reach) + 1));
  for (int o = 0; o < out_size; ++o) {
    const double centre = start + (o + 0.5) * step;
    // Pixels whose centre is nearer than `reach`; the clamps keep one pixel when rounding leaves none.
    const int first = std::clamp(static_cast<int>(std::floor(centre - reach - 0.5)) + 1, 0, in_size - 1);
    const int end = std::clamp(static_cast<int>(std::ceil(centre + reach - 0.5)), first + 1, in_size);
    const std::size_t offset = axis.weights.size();
    double sum = 0;
    for (int i = first; i < end; ++i) {
      const double weight = std::max(0.0, 1 - std::abs(i + 0.5 - centre) / reach);
      axis.weights.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (std::size_t k = offset; k < axis.weights.size(); ++k) {
      axis.weights[k] = static_cast<float>(axis.weights[k] / sum);
    }
    axis.windows.push_back({first, end - first, offset});
  }
  return axis;
}

// sum += weight * row. Simple on purpose: the compiler makes vector code of it.
void add_row(const std::uint8_t* __restrict row, float weight, std::size_t count, float* __restrict sum) {
  for (std::size_t i = 0; i < count; ++i) sum[i] += weight * static_cast<float>(row[i]);
}

// Filters one row of interleaved floats, whose first pixel is `column`, into one row of each output plane.
template <std::size_t channels>
void filter_row(const std::vector<float>& row, int column, const Axis& axis, float* out, std::size_t plane) {
  for (const Window& window : axis.windows) {
    const float* weight = axis.weights.data() + window.offset;
    const float* pixel = row.data() + static_cast<std::size_t>(window.first - column) * channels;
    float sums[channels] = {};
    for (int k = 0; k < window.count; ++k) {
      for (std::size_t c = 0; c < channels; ++c) sums[c] += weight[k] * pixel[c];
      pixel += channels;
    }
    for (std::size_t c = 0; c < channels; ++c) out[c * plane] = sums[c];
    ++out;
  }
}

// Rows first: they shrink a large image while reading its bytes in order, and leave few rows to filter
// across.
template <std::size_t channels>
void filter(const Image& image, const Axis& across, const Axis& down, std::span<float> out) {
  int begin = image.width;
  int end = 0;
  for (const Window& window : across.windows) {
    begin = std::min(begin, window.first);
    end = std::max(end, window.first + window.count);
  }
  const std::size_t stride = static_cast<std::size_t>(image.width) * channels;
  const std::size_t used = static_cast<std::size_t>(end - begin) * channels;
  const std::uint8_t* pixels = image.pixels.data() + static_cast<std::size_t>(begin) * channels;
  const std::size_t plane = across.windows.size() * down.windows.size();
  std::vector<float> row(used);
  float* out_row = out.data();
  for (const Window& window : down.windows) {
    std::fill(row.begin(), row.end(), 0.f);
    for (int k = 0; k < window.count; ++k) {
      add_row(pixels + static_cast<std::size_t>(window.first + k) * stride,
              down.weights[window.offset + static_cast<std::size_t>(k)], used, row.data());
    }
    filter_row<channels>(row, begin, across, out_row, plane);
    out_row += across.windows.size();
  }
}

// Same size, whole pixels: nothing to filter.
void copy_region(const Image& image, std::size_t x, std::size_t y, std::size_t w, std::size_t h, float* out) {
  const auto channels = static_cast<std::size_t>(image.channels);
  const std::size_t stride = static_cast<std::size_t>(image.width) * channels;
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t row = 0; row < h; ++row) {
      const std::uint8_t* pixel = image.pixels.data() + (y + row) * stride + x * channels + c;
      for (std::size_t column = 0; column < w; ++column)
        *out++ = static_cast<float>(pixel[column * channels]);
    }
  }
}

void check_image(const Image& image) {
  const bool shaped = image.width > 0 && image.height > 0 && (image.channels == 1 || image.channels == 3);
  const std::size_t expected = shaped ? static_cast<std::size_t>(image.width) *
                                            static_cast<std::size_t>(image.height) *
                                            static_cast<std::size_t>(image.channels)
                                      : 0;
  if (!shaped || image.pixels.size() != expected) {
    throw Error(ErrorCode::bad_input,
                fmt::format("image of {} x {} pixels with {} channels and {} bytes: expected 1 or 3 "
                            "channels and width x height x channels bytes",
                            image.width, image.height, image.channels, image.pixels.size()));
  }
}

}  // namespace

void resize_region(const Image& image, double x, double y, double w, double h, int out_w, int out_h,
                   std::span<float> out) {
  check_image(image);
  constexpr double kSlack = 1e-6;  // pixels, for regions computed from fractions
  if (!(w > 0 && h > 0 && x >= -kSlack && y >= -kSlack && x + w <= image.width + kSlack &&
        y + h <= image.height + kSlack)) {
    throw Error(ErrorCode::bad_input,
                fmt::format("region {} x {} at ({}, {}) is not inside an image of {} x {} pixels", w, h, x, y,
                            image.width, image.height));
  }
  const std::size_t expected = out_w > 0 && out_h > 0
                                   ? static_cast<std::size_t>(out_w) * static_cast<std::size_t>(out_h) *
                                         static_cast<std::size_t>(image.channels)
                                   : 0;
  if (expected == 0 || out.size() != expected) {
    throw Error(ErrorCode::bad_input,
                fmt::format("resize to {} x {} x {}: the output holds {} floats, expected {}", out_w, out_h,
                            image.channels, out.size(), expected));
  }
  const bool whole = x >= 0 && y >= 0 && x == std::floor(x) && y == std::floor(y);
  if (whole && w == out_w && h == out_h) {
    copy_region(image, static_cast<std::size_t>(x), static_cast<std::size_t>(y),
                static_cast<std::size_t>(out_w), static_cast<std::size_t>(out_h), out.data());
    return;
  }
  const Axis across = make_axis(x, w, image.width, out_w);
  const Axis down = make_axis(y, h, image.height, out_h);
  if (image.channels == 3) {
    filter<3>(image, across, down, out);
  } else {
    filter<1>(image, across, down, out);
  }
}

}  // namespace dsn

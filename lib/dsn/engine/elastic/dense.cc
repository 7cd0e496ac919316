// SPDX-License-Identifier: Apache-2.0
// k x k convolutions over all channels, and pools. The input is first copied into a map with a border, whose
// columns are split by their remainder of the stride: neighbouring outputs then read neighbouring pixels.
#include <algorithm>
#include <array>
#include <cstring>

#include "dsn/engine/elastic/runner.h"

namespace dsn::elastic {
namespace {

constexpr int kMostColumns = 64;  // of a kernel

// Where column `x` of a padded row is, in pixels.
std::ptrdiff_t split(const PaddedShape& shape, int stride, int x) {
  return std::ptrdiff_t{x % stride} * shape.part + x / stride;
}

ConvCall row_call(const ConvStep& step, const PaddedShape& shape, const std::ptrdiff_t* taps, int pixel) {
  ConvCall call = call_of(step, taps);
  call.x_row = shape.row * pixel;
  call.x_block = call.x_row * shape.rows;
  return call;
}

using Taps = std::array<std::ptrdiff_t, kMostColumns>;
Taps taps_of(const ConvStep& step, const PaddedShape& shape, int pixel) {
  Taps taps{};
  for (int k = 0; k < step.kernel; ++k)
    taps[static_cast<std::size_t>(k)] = split(shape, step.stride, k) * pixel;
  return taps;
}

// A row of `pixel` floats per pixel with its border; zeros for a null one.
void pad_row(const Kernels& kernels, const float* from, int size, int stride, const PaddedShape& shape,
             int pixel, float* to) {
  const auto bytes = static_cast<std::size_t>(pixel) * sizeof(float);
  const std::size_t whole = static_cast<std::size_t>(shape.row) * bytes;
  if (from == nullptr || stride > 1) {
    std::memset(to, 0, whole);
  } else {
    std::memset(to, 0, static_cast<std::size_t>(shape.pad) * bytes);
    std::memset(to + (shape.pad + size) * pixel, 0,
                whole - static_cast<std::size_t>(shape.pad + size) * bytes);
  }
  if (from == nullptr) return;
  if (stride == 1) {
    std::memcpy(to + shape.pad * pixel, from, static_cast<std::size_t>(size) * bytes);
  } else if (pixel == 1 && stride == 2) {
    kernels.split(from, size, to + split(shape, 2, shape.pad), to + split(shape, 2, shape.pad + 1));
  } else {
    for (int x = 0; x < size; ++x)
      std::memcpy(to + split(shape, stride, x + shape.pad) * pixel, from + std::ptrdiff_t{x} * pixel, bytes);
  }
}

// A map of `pixel` floats per pixel into its padded form.
void pad_plane(const Kernels& kernels, const float* from, int size, int stride, const PaddedShape& shape,
               int pixel, float* to) {
  for (int i = 0; i < shape.rows; ++i, to += shape.row * pixel) {
    const int y = i - shape.pad;
    pad_row(kernels, y < 0 || y >= size ? nullptr : from + std::ptrdiff_t{y} * size * pixel, size, stride,
            shape, pixel, to);
  }
}

}  // namespace

// A few rows at a time, bordered in the thread's own memory just before they are read.
void Runner::stem(const Unit& unit, const ConvStep& step, const float* input, const Map& y) {
  const int size = unit.in_size, stride = step.stride;
  PaddedShape shape(size, step.kernel, stride);
  shape.rows = band_rows_in(step);
  const std::ptrdiff_t plane = shape.row * shape.rows;
  const Taps taps = taps_of(step, shape, 1);
  const ConvCall call = row_call(step, shape, taps.data(), 1);
  const int bands = (y.size + kBandRows - 1) / kBandRows;
  pool_.run(batch_ * bands, [&](int chunk, int thread) {
    const int image = chunk / bands, top = chunk % bands * kBandRows;
    const int bottom = std::min(y.size, top + kBandRows);
    float* const rows = work_.rings[static_cast<std::size_t>(thread)].data();
    for (int channel = 0; channel < step.in; ++channel) {
      const float* from = input + std::ptrdiff_t{image * step.in + channel} * size * size;
      for (int i = 0; i < shape.rows; ++i) {
        const int at = top * stride - shape.pad + i;
        pad_row(kernels_, at < 0 || at >= size ? nullptr : from + std::ptrdiff_t{at} * size, size, stride,
                shape, 1, rows + channel * plane + i * shape.row);
      }
    }
    ConvCall c = call;
    c.pixels = y.size;
    c.y_block = y.block();
    for (int row = top; row < bottom; ++row) {
      c.x = rows + (row - top) * stride * call.x_row;
      c.y = y.data + image * y.image() + std::ptrdiff_t{row} * y.size * kBlock;
      kernels_.stem(c);
    }
  });
}

void Runner::dense(const ConvStep& step, const Map& x, const Map& y, const float* residual) {
  const PaddedShape shape(x.size, step.kernel, step.stride);
  const int blocks = blocks_of(x.channels);
  const std::ptrdiff_t plane = shape.row * shape.rows * kBlock;
  pool_.run(batch_ * blocks, [&](int chunk, int) {
    pad_plane(kernels_, x.data + chunk * x.block(), x.size, step.stride, shape, kBlock,
              work_.padded.data() + chunk * plane);
  });
  const Taps taps = taps_of(step, shape, kBlock);
  const ConvCall call = row_call(step, shape, taps.data(), kBlock);
  const int rows = y.size, bands = std::min(rows, pool_.threads() == 1 ? 1 : 4 * pool_.threads());
  pool_.run(batch_ * bands, [&](int chunk, int) {
    const int image = chunk / bands, band = chunk % bands;
    ConvCall c = call;
    c.pixels = y.size;
    c.y_block = c.residual_block = y.block();
    for (int row = rows * band / bands; row < rows * (band + 1) / bands; ++row) {
      const std::ptrdiff_t at = image * y.image() + std::ptrdiff_t{row} * y.size * kBlock;
      c.x = work_.padded.data() + image * blocks * plane + row * step.stride * call.x_row;
      c.y = y.data + at;
      c.residual = residual == nullptr ? nullptr : residual + at;
      kernels_.conv(c);
    }
  });
}

// 3x3 with stride 2 and a border that never wins.
void Runner::max_pool(const Map& x, const Map& y) {
  const int blocks = blocks_of(x.channels);
  pool_.run(batch_ * blocks, [&](int chunk, int) {
    const float* from = x.data + chunk * x.block();
    float* to = y.data + chunk * y.block();
    for (int oy = 0; oy < y.size; ++oy) {
      const int y_begin = std::max(0, 2 * oy - 1), y_end = std::min(x.size, 2 * oy + 2);
      for (int ox = 0; ox < y.size; ++ox, to += kBlock) {
        const int x_begin = std::max(0, 2 * ox - 1), x_end = std::min(x.size, 2 * ox + 2);
        std::copy_n(from + (std::ptrdiff_t{y_begin} * x.size + x_begin) * kBlock, kBlock, to);
        for (int iy = y_begin; iy < y_end; ++iy) {
          for (int ix = x_begin; ix < x_end; ++ix) {
            const float* pixel = from + (std::ptrdiff_t{iy} * x.size + ix) * kBlock;
            for (int c = 0; c < kBlock; ++c) to[c] = std::max(to[c], pixel[c]);
          }
        }
      }
    }
  });
}

// Windows of `stride` x `stride`, smaller at the border: each pixel that is there counts the same.
void Runner::average(const Map& x, const Map& y, int stride) {
  const int blocks = blocks_of(x.channels);
  pool_.run(batch_ * blocks, [&](int chunk, int) {
    const float* from = x.data + chunk * x.block();
    float* to = y.data + chunk * y.block();
    for (int oy = 0; oy < y.size; ++oy) {
      const int y_end = std::min(x.size, (oy + 1) * stride);
      for (int ox = 0; ox < y.size; ++ox, to += kBlock) {
        const int x_end = std::min(x.size, (ox + 1) * stride);
        std::fill_n(to, kBlock, 0.0F);
        for (int iy = oy * stride; iy < y_end; ++iy) {
          for (int ix = ox * stride; ix < x_end; ++ix) {
            const float* pixel = from + (std::ptrdiff_t{iy} * x.size + ix) * kBlock;
            for (int c = 0; c < kBlock; ++c) to[c] += pixel[c];
          }
        }
        const float by = 1.0F / static_cast<float>((y_end - oy * stride) * (x_end - ox * stride));
        for (int c = 0; c < kBlock; ++c) to[c] *= by;
      }
    }
  });
}

}  // namespace dsn::elastic

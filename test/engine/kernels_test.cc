// SPDX-License-Identifier: Apache-2.0
// The elastic engine's inner loops against plain ones, for every instruction set that this CPU runs. Needs
// nothing else of dsn, so that it is easily built for another architecture (scripts/engine_on_arm.sh).
#include "dsn/engine/elastic/kernels.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "dsn/engine/elastic/layout.h"

namespace dsn::elastic {
namespace {

constexpr float kFar = std::numeric_limits<float>::infinity();
constexpr std::ptrdiff_t kOneTap[] = {0};

// Numbers between -1 and 1 on a cache line's boundary, with slack.
class Numbers {
 public:
  explicit Numbers(std::size_t count, std::uint32_t seed) : memory_(count + kSlack + kBlock) {
    for (float& v : memory_) {
      seed = seed * 1664525 + 1013904223;
      v = static_cast<float>(static_cast<std::int32_t>(seed)) / 2147483648.0F;
    }
  }
  float* data() {
    const auto at = reinterpret_cast<std::uintptr_t>(memory_.data());
    return memory_.data() + (64 - at % 64) % 64 / sizeof(float);
  }

 private:
  std::vector<float> memory_;
};

double activated(double v, const Epilogue& e) {
  if (e.hswish) return v * std::clamp(v + 3, 0.0, 6.0) / 6;
  return std::clamp(v, static_cast<double>(e.low), static_cast<double>(e.high));
}

const Epilogue kEpilogues[] = {{-kFar, kFar}, {0, kFar}, {0, 6}, {0, 0, true}, {0, kFar, false, true}};

}  // namespace

TEST_CASE("conv: any number of pixels, inputs and outputs, with and without a residual") {
  for (const std::string_view target : kernel_targets()) {
    CAPTURE(std::string(target));
    const Kernels& kernels = kernels_for(target);
    std::uint32_t seed = 1;
    for (const int out : {8, 10, 16, 24, 40, 48, 72, 88}) {
      for (const int in : {1, 8, 24, 40}) {
        for (const int pixels : {1, 2, 3, 5, 7, 10, 11, 23}) {
          const Epilogue& epilogue = kEpilogues[seed % 5];
          const bool residual = seed % 3 == 0;
          const int panels = blocks_of(out), depth = blocks_of(in) * kBlock;
          Numbers x(static_cast<std::size_t>(depth * pixels), seed),
              w(static_cast<std::size_t>(panels * depth * kBlock), seed + 1),
              scale(static_cast<std::size_t>(panels * kBlock), seed + 2),
              bias(static_cast<std::size_t>(panels * kBlock), seed + 3),
              r(static_cast<std::size_t>(panels * pixels * kBlock), seed + 4),
              y(static_cast<std::size_t>(panels * pixels * kBlock), seed + 5);
          ConvCall c;
          c.x = x.data();
          c.x_block = c.y_block = c.residual_block = std::ptrdiff_t{pixels} * kBlock;
          c.x_tap = kOneTap;
          c.in = in;
          c.w = w.data();
          c.w_panel = std::ptrdiff_t{depth} * kBlock;
          c.scale = scale.data();
          c.bias = bias.data();
          c.residual = residual ? r.data() : nullptr;
          c.y = y.data();
          c.pixels = pixels;
          c.out = out;
          c.epilogue = epilogue;
          kernels.conv(c);
          double worst = 0;
          for (int n = 0; n < out; ++n) {
            for (int p = 0; p < pixels; ++p) {
              double sum = 0;
              for (int k = 0; k < in; ++k)
                sum += static_cast<double>(c.x[k / kBlock * c.x_block + p * kBlock + k % kBlock]) *
                       c.w[n / kBlock * c.w_panel + k * kBlock + n % kBlock];
              const std::ptrdiff_t at = n / kBlock * c.y_block + p * kBlock + n % kBlock;
              double value = sum * c.scale[n] + c.bias[n];
              if (residual && !epilogue.add_after) value += c.residual[at];
              value = activated(value, epilogue);
              if (residual && epilogue.add_after) value += c.residual[at];
              worst = std::max(worst, std::abs(value - c.y[at]));
            }
          }
          CAPTURE(out);
          CAPTURE(in);
          CAPTURE(pixels);
          CHECK(worst < 2e-5);
          ++seed;
        }
      }
    }
  }
}

TEST_CASE("depthwise: every kernel, stride and row length, and the sums for squeeze-and-excitation") {
  for (const std::string_view target : kernel_targets()) {
    CAPTURE(std::string(target));
    const Kernels& kernels = kernels_for(target);
    std::uint32_t seed = 7;
    for (const int kernel : {1, 3, 5, 7, 9}) {
      for (const int stride : {1, 2, 3}) {
        for (int pixels = 1; pixels <= 30; ++pixels, ++seed) {
          const int width = (pixels - 1) * stride + kernel;
          Numbers x(static_cast<std::size_t>(kernel * width * kBlock), seed),
              w(static_cast<std::size_t>(kernel * kernel * kBlock), seed + 1), scale(kBlock, seed + 2),
              bias(kBlock, seed + 3), y(static_cast<std::size_t>(pixels * kBlock), seed + 4);
          std::vector<const float*> rows;
          for (int k = 0; k < kernel; ++k) rows.push_back(x.data() + std::ptrdiff_t{k} * width * kBlock);
          Numbers sums(kBlock, 0);
          std::fill_n(sums.data(), kBlock, 1.0F);
          DepthwiseCall c;
          c.rows = rows.data();
          c.w = w.data();
          c.scale = scale.data();
          c.bias = bias.data();
          c.y = y.data();
          c.sum = seed % 2 == 0 ? sums.data() : nullptr;
          c.pixels = pixels;
          c.kernel = kernel;
          c.stride = stride;
          c.epilogue = kEpilogues[seed % 4];
          const float beyond = y.data()[pixels * kBlock];
          kernels.depthwise(c);
          double worst = 0;
          for (int n = 0; n < kBlock; ++n) {
            double total = 1;
            for (int p = 0; p < pixels; ++p) {
              double sum = 0;
              for (int ky = 0; ky < kernel; ++ky) {
                for (int kx = 0; kx < kernel; ++kx)
                  sum += static_cast<double>(
                             rows[static_cast<std::size_t>(ky)][(p * stride + kx) * kBlock + n]) *
                         c.w[(ky * kernel + kx) * kBlock + n];
              }
              const double value = activated(sum * c.scale[n] + c.bias[n], c.epilogue);
              worst = std::max(worst, std::abs(value - c.y[p * kBlock + n]));
              total += value;
            }
            if (c.sum != nullptr) worst = std::max(worst, std::abs(total - c.sum[n]) / pixels);
          }
          CAPTURE(kernel);
          CAPTURE(stride);
          CAPTURE(pixels);
          CHECK(worst < 2e-5);
          CHECK(y.data()[pixels * kBlock] == beyond);
        }
      }
    }
  }
}

TEST_CASE("stem: a convolution of planes, for every row length; split: every other value") {
  for (const std::string_view target : kernel_targets()) {
    CAPTURE(std::string(target));
    const Kernels& kernels = kernels_for(target);
    std::uint32_t seed = 3;
    for (const int kernel : {3, 5}) {
      for (int pixels = 1; pixels <= 33; ++pixels, ++seed) {
        const int in = 3, out = 24, width = pixels + kernel - 1;
        Numbers x(static_cast<std::size_t>(in * kernel * width), seed),
            w(static_cast<std::size_t>(2 * in * kernel * kernel * kBlock), seed + 1),
            scale(2 * kBlock, seed + 2), bias(2 * kBlock, seed + 3),
            y(static_cast<std::size_t>(2 * pixels * kBlock), seed + 4);
        const std::ptrdiff_t taps[] = {0, 1, 2, 3, 4};
        ConvCall c;
        c.x = x.data();
        c.x_row = width;
        c.x_block = std::ptrdiff_t{width} * kernel;
        c.x_tap = taps;
        c.in = in;
        c.kernel = kernel;
        c.w = w.data();
        c.w_panel = std::ptrdiff_t{in} * kernel * kernel * kBlock;
        c.scale = scale.data();
        c.bias = bias.data();
        c.y = y.data();
        c.y_block = std::ptrdiff_t{pixels} * kBlock;
        c.pixels = pixels;
        c.out = out;
        c.epilogue = kEpilogues[seed % 4];
        kernels.stem(c);
        double worst = 0;
        for (int n = 0; n < out; ++n) {
          for (int p = 0; p < pixels; ++p) {
            double sum = 0;
            for (int i = 0; i < in * kernel * kernel; ++i)
              sum += static_cast<double>(c.x[i / kernel * width + p + i % kernel]) *
                     c.w[n / kBlock * c.w_panel + i * kBlock + n % kBlock];
            const double value = activated(sum * c.scale[n] + c.bias[n], c.epilogue);
            worst = std::max(worst, std::abs(value - c.y[n / kBlock * c.y_block + p * kBlock + n % kBlock]));
          }
        }
        CAPTURE(kernel);
        CAPTURE(pixels);
        CHECK(worst < 2e-5);
      }
    }
    for (int count = 1; count < 70; ++count) {
      Numbers x(static_cast<std::size_t>(count), 5);
      std::vector<float> first(40, -9.0F), second(40, -9.0F);
      kernels.split(x.data(), count, first.data(), second.data());
      bool right = first[static_cast<std::size_t>(count + 1) / 2] == -9.0F &&
                   second[static_cast<std::size_t>(count) / 2] == -9.0F;
      for (int i = 0; i < count; ++i)
        right = right && (i % 2 == 0 ? first : second)[static_cast<std::size_t>(i / 2)] == x.data()[i];
      CHECK(right);
    }
  }
}

TEST_CASE("sum and scale: over any number of pixels of a block") {
  for (const std::string_view target : kernel_targets()) {
    const Kernels& kernels = kernels_for(target);
    for (int pixels = 1; pixels < 9; ++pixels) {
      Numbers x(static_cast<std::size_t>(pixels * kBlock), 2), by(kBlock, 3), y(kBlock, 4);
      kernels.sum(x.data(), pixels, y.data());
      const std::vector<float> before(x.data(), x.data() + pixels * kBlock);
      kernels.scale(x.data(), pixels, by.data());
      for (int n = 0; n < kBlock; ++n) {
        double total = 0;
        for (int p = 0; p < pixels; ++p) {
          total += before[static_cast<std::size_t>(p * kBlock + n)];
          CHECK(x.data()[p * kBlock + n] == before[static_cast<std::size_t>(p * kBlock + n)] * by.data()[n]);
        }
        CHECK(std::abs(total - y.data()[n]) < 1e-5);
      }
    }
  }
}

}  // namespace dsn::elastic

// SPDX-License-Identifier: Apache-2.0
// Depthwise convolutions, and what else runs over one block of channels.
#include "dsn/engine/elastic/kernel_tables.h"
#include "dsn/engine/elastic/layout.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsn/engine/elastic/depthwise_kernels.cc"
#include <hwy/foreach_target.h>
// after foreach_target.h
#include <hwy/highway.h>

#include "dsn/engine/elastic/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsn::elastic {
namespace HWY_NAMESPACE {

// Input-stationary: for each kernel row, its taps are in registers, and every input is read once and goes
// into all the outputs that want it. O outputs, `stored` of them written.
template <int K, int S, int O>
void depthwise_tile(const DepthwiseCall& c, int pixel, int stored) {
  const D d;
  DSN_UNROLL for (int v = 0; v < kVecs; ++v) {
    const int lane = v * kLanes;
    V acc[O];
    DSN_UNROLL for (int o = 0; o < O; ++o) acc[o] = hn::Zero(d);
    for (int ky = 0; ky < K; ++ky) {
      const float* x = c.rows[ky] + pixel * S * kBlock + lane;
      const float* w = c.w + ky * K * kBlock + lane;
      V taps[K];
      DSN_UNROLL for (int kx = 0; kx < K; ++kx) taps[kx] = hn::Load(d, w + kx * kBlock);
      DSN_UNROLL for (int i = 0; i < (O - 1) * S + K; ++i) {
        const V value = hn::Load(d, x + i * kBlock);
        DSN_UNROLL for (int kx = 0; kx < K; ++kx) {
          if (i >= kx && (i - kx) % S == 0 && (i - kx) / S < O)
            acc[(i - kx) / S] = hn::MulAdd(value, taps[kx], acc[(i - kx) / S]);
        }
      }
    }
    const V s = hn::Load(d, c.scale + lane), b = hn::Load(d, c.bias + lane);
    DSN_UNROLL for (int o = 0; o < O; ++o) acc[o] = activated(d, hn::MulAdd(acc[o], s, b), c.epilogue);
    float* y = c.y + pixel * kBlock + lane;
    DSN_UNROLL for (int o = 0; o < O; ++o) {
      if (o < stored) hn::Store(acc[o], d, y + o * kBlock);
    }
    if (c.sum != nullptr) {
      V sum = hn::Load(d, c.sum + lane);
      DSN_UNROLL for (int o = 0; o < O; ++o) {
        if (o < stored) sum = hn::Add(sum, acc[o]);
      }
      hn::Store(sum, d, c.sum + lane);
    }
  }
}

// Tile widths, and which to take for what is left of a row so that the fewest outputs are computed in vain.
constexpr int kLongest = kManyRegisters ? 14 : 7;
constexpr int kTileWidths[] = {kLongest, 10, 7, 5};  // 10 where there are registers for it
struct Tiling {
  unsigned char first[2 * kLongest];
};
constexpr Tiling make_tiling() {
  Tiling t{};
  int cost[2 * kLongest] = {};
  for (int n = 1; n < 2 * kLongest; ++n) {
    cost[n] = 1 << 20;
    for (const int width : kTileWidths) {
      if (width > kLongest) continue;
      const int total = width + (n > width ? cost[n - width] : 0);
      if (total < cost[n]) {
        cost[n] = total;
        t.first[n] = static_cast<unsigned char>(width);
      }
    }
  }
  return t;
}
constexpr Tiling kTiling = make_tiling();

template <int K, int S>
void depthwise_row(const DepthwiseCall& c) {
  for (int pixel = 0; pixel < c.pixels;) {
    const int left = c.pixels - pixel;
    const int width = left < 2 * kLongest ? kTiling.first[left] : kLongest;
    const int stored = left < width ? left : width;
    if (width == 5) {
      depthwise_tile<K, S, 5>(c, pixel, stored);
    } else if (width == 7) {
      depthwise_tile<K, S, 7>(c, pixel, stored);
    } else if constexpr (kManyRegisters) {
      if (width == 10) {
        depthwise_tile<K, S, 10>(c, pixel, stored);
      } else {
        depthwise_tile<K, S, 14>(c, pixel, stored);
      }
    }
    pixel += stored;
  }
}

// Any kernel and stride.
void depthwise_any(const DepthwiseCall& c) {
  const D d;
  for (int pixel = 0; pixel < c.pixels; ++pixel) {
    for (int lane = 0; lane < kBlock; lane += kLanes) {
      V acc = hn::Zero(d);
      for (int ky = 0; ky < c.kernel; ++ky) {
        const float* x = c.rows[ky] + pixel * c.stride * kBlock + lane;
        for (int kx = 0; kx < c.kernel; ++kx) {
          acc = hn::MulAdd(hn::Load(d, x + kx * kBlock),
                           hn::Load(d, c.w + (ky * c.kernel + kx) * kBlock + lane), acc);
        }
      }
      acc =
          activated(d, hn::MulAdd(acc, hn::Load(d, c.scale + lane), hn::Load(d, c.bias + lane)), c.epilogue);
      hn::Store(acc, d, c.y + pixel * kBlock + lane);
      if (c.sum != nullptr) hn::Store(hn::Add(acc, hn::Load(d, c.sum + lane)), d, c.sum + lane);
    }
  }
}

void depthwise(const DepthwiseCall& c) noexcept {
  switch (c.stride > 2 ? 0 : c.kernel * 10 + c.stride) {
    case 31:
      return depthwise_row<3, 1>(c);
    case 32:
      return depthwise_row<3, 2>(c);
    case 51:
      return depthwise_row<5, 1>(c);
    case 52:
      return depthwise_row<5, 2>(c);
    case 71:
      return depthwise_row<7, 1>(c);
    case 72:
      return depthwise_row<7, 2>(c);
    default:
      return depthwise_any(c);
  }
}

void sum(const float* x, int pixels, float* y) noexcept {
  const D d;
  for (int lane = 0; lane < kBlock; lane += kLanes) {
    V a = hn::Zero(d), b = hn::Zero(d);
    int p = 0;
    for (; p + 1 < pixels; p += 2) {
      a = hn::Add(a, hn::Load(d, x + p * kBlock + lane));
      b = hn::Add(b, hn::Load(d, x + (p + 1) * kBlock + lane));
    }
    if (p < pixels) a = hn::Add(a, hn::Load(d, x + p * kBlock + lane));
    hn::Store(hn::Add(a, b), d, y + lane);
  }
}

void scale(float* x, int pixels, const float* by) noexcept {
  const D d;
  for (int lane = 0; lane < kBlock; lane += kLanes) {
    const V factor = hn::Load(d, by + lane);
    for (int p = 0; p < pixels; ++p) {
      float* at = x + p * kBlock + lane;
      hn::Store(hn::Mul(hn::Load(d, at), factor), d, at);
    }
  }
}

void split(const float* x, int count, float* first, float* second) noexcept {
  const D d;
  int i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    V a, b;
    hn::LoadInterleaved2(d, x + i, a, b);
    hn::StoreU(a, d, first + i / 2);
    hn::StoreU(b, d, second + i / 2);
  }
  for (; i < count; ++i) (i % 2 == 0 ? first : second)[i / 2] = x[i];
}

}  // namespace HWY_NAMESPACE
}  // namespace dsn::elastic
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dsn::elastic {

DepthwiseKernels depthwise_kernels(Target target) noexcept {
#define DSN_TABLE(target_namespace) \
  { &target_namespace::depthwise, &target_namespace::sum, &target_namespace::scale, &target_namespace::split }
#include "dsn/engine/elastic/target_switch.inc"
#undef DSN_TABLE
}

}  // namespace dsn::elastic
#endif

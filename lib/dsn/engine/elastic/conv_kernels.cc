// SPDX-License-Identifier: Apache-2.0
// 1x1 and dense convolutions: tiles of a few pixels by one or two panels, sums in registers.
#include "dsn/engine/elastic/kernel_tables.h"
#include "dsn/engine/elastic/layout.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsn/engine/elastic/conv_kernels.cc"
#include <hwy/foreach_target.h>
// after foreach_target.h
#include <hwy/highway.h>

#include "dsn/engine/elastic/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsn::elastic {
namespace HWY_NAMESPACE {

constexpr int kVectorPanels = 4;

// A tile's outputs: `kPanels` panels, and where kHalf is set the first 8 channels of one more. Vectors of 16
// lanes have a half vector for those, which costs half.
template <int kPanels, bool kHalf>
struct Width {
  static constexpr bool kHalfVector = kHalf && kLanes == kBlock;
  static constexpr int kFull = kPanels * kVecs + (kHalf && !kHalfVector ? kVecs / 2 : 0);
  static constexpr int kAll = kFull + (kHalfVector ? 1 : 0);
  // Pixels per tile: sums, weights and a broadcast input fit the registers.
  static constexpr int kPixels = kManyRegisters ? (kAll <= 2   ? 14
                                                   : kAll <= 4 ? 6
                                                               : 4)
                                                : (kAll <= 2   ? 6
                                                   : kAll == 3 ? 4
                                                   : kAll == 4 ? 3
                                                               : 2);
};

template <int P, int kPanels, bool kHalf>
void tile(const ConvCall& c, const float* x, const float* w, std::ptrdiff_t panel, std::ptrdiff_t pixel) {
  using W = Width<kPanels, kHalf>;
  constexpr int kFull = W::kFull;
  constexpr int kHalves = W::kHalfVector ? P : 1;
  const D d;
  const hn::Half<D> h;
  V acc[P][kFull];
  hn::Vec<hn::Half<D>> half[kHalves];
  DSN_UNROLL for (int p = 0; p < P; ++p) {
    DSN_UNROLL for (int v = 0; v < kFull; ++v) acc[p][v] = hn::Zero(d);
  }
  DSN_UNROLL for (int p = 0; p < kHalves; ++p) half[p] = hn::Zero(h);

  const std::ptrdiff_t w_panel = c.w_panel;
  for (int first = 0; first < c.in; first += kBlock, x += c.x_block) {
    const int depth = c.in - first < kBlock ? c.in - first : kBlock;
    for (int ky = 0; ky < c.kernel; ++ky) {
      for (int kx = 0; kx < c.kernel; ++kx, w += kBlock * kBlock) {
        const float* xp = x + ky * c.x_row + c.x_tap[kx];
        const float* wp = w;
        for (int k = 0; k < depth; ++k, ++xp, wp += kBlock) {
          V weights[kFull];
          // The panels that come next, into the second-level cache (beyond the last: harmless).
          DSN_UNROLL for (int v = 0; v < kPanels; ++v) __builtin_prefetch(wp + (kPanels + v) * w_panel, 0, 2);
          DSN_UNROLL for (int v = 0; v < kFull; ++v) {
            weights[v] = hn::Load(d, wp + (v / kVecs) * w_panel + (v % kVecs) * kLanes);
          }
          DSN_UNROLL for (int p = 0; p < P; ++p) {
            const V value = hn::Set(d, xp[p * kBlock]);
            DSN_UNROLL for (int v = 0; v < kFull; ++v) acc[p][v] = hn::MulAdd(value, weights[v], acc[p][v]);
          }
          if constexpr (W::kHalfVector) {
            const auto last = hn::Load(h, wp + kPanels * w_panel);
            DSN_UNROLL for (int p = 0; p < P; ++p) half[p] =
                hn::MulAdd(hn::Set(h, xp[p * kBlock]), last, half[p]);
          }
        }
      }
    }
  }

  const float* scale = c.scale + panel * kBlock;
  const float* bias = c.bias + panel * kBlock;
  float* y = c.y + panel * c.y_block + pixel * kBlock;
  const float* residual =
      c.residual == nullptr ? nullptr : c.residual + panel * c.residual_block + pixel * kBlock;
  const bool before = residual != nullptr && !c.epilogue.add_after;
  const bool after = residual != nullptr && c.epilogue.add_after;
  DSN_UNROLL for (int v = 0; v < kFull; ++v) {
    const int lane = (v % kVecs) * kLanes;
    const V s = hn::Load(d, scale + (v / kVecs) * kBlock + lane),
            b = hn::Load(d, bias + (v / kVecs) * kBlock + lane);
    const float* r = before || after ? residual + (v / kVecs) * c.residual_block + lane : nullptr;
    float* to = y + (v / kVecs) * c.y_block + lane;
    DSN_UNROLL for (int p = 0; p < P; ++p) acc[p][v] = hn::MulAdd(acc[p][v], s, b);
    if (before) {
      DSN_UNROLL for (int p = 0; p < P; ++p) acc[p][v] = hn::Add(acc[p][v], hn::Load(d, r + p * kBlock));
    }
    DSN_UNROLL for (int p = 0; p < P; ++p) acc[p][v] = activated(d, acc[p][v], c.epilogue);
    if (after) {
      DSN_UNROLL for (int p = 0; p < P; ++p) acc[p][v] = hn::Add(acc[p][v], hn::Load(d, r + p * kBlock));
    }
    DSN_UNROLL for (int p = 0; p < P; ++p) hn::Store(acc[p][v], d, to + p * kBlock);
  }
  if constexpr (W::kHalfVector) {
    const auto s = hn::Load(h, scale + kPanels * kBlock), b = hn::Load(h, bias + kPanels * kBlock);
    const float* r = before || after ? residual + kPanels * c.residual_block : nullptr;
    float* to = y + kPanels * c.y_block;
    DSN_UNROLL for (int p = 0; p < P; ++p) {
      auto value = hn::MulAdd(half[p], s, b);
      if (before) value = hn::Add(value, hn::Load(h, r + p * kBlock));
      value = activated(h, value, c.epilogue);
      if (after) value = hn::Add(value, hn::Load(h, r + p * kBlock));
      hn::Store(value, h, to + p * kBlock);
    }
  }
}

using TileFn = void (*)(const ConvCall&, const float*, const float*, std::ptrdiff_t, std::ptrdiff_t);

// Tiles of 1 to N pixels.
template <int kPanels, bool kHalf, int... P>
HWY_INLINE TileFn tile_of(int pixels) {
  static constexpr TileFn kTiles[] = {&tile<P, kPanels, kHalf>...};
  return kTiles[pixels - 1];
}
template <int kPanels, bool kHalf>
TileFn tile_for(int pixels) {
  constexpr int kMost = Width<kPanels, kHalf>::kPixels;
  if constexpr (kMost == 14)
    return tile_of<kPanels, kHalf, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>(pixels);
  if constexpr (kMost == 6) return tile_of<kPanels, kHalf, 1, 2, 3, 4, 5, 6>(pixels);
  if constexpr (kMost == 4) return tile_of<kPanels, kHalf, 1, 2, 3, 4>(pixels);
  if constexpr (kMost == 3) return tile_of<kPanels, kHalf, 1, 2, 3>(pixels);
  return tile_of<kPanels, kHalf, 1, 2>(pixels);
}

// All pixels of `kPanels` panels (and a half): tiles whose sizes differ by one at most.
template <int kPanels, bool kHalf>
void columns(const ConvCall& c, std::ptrdiff_t panel) {
  constexpr int kMost = Width<kPanels, kHalf>::kPixels;
  const int tiles = (c.pixels + kMost - 1) / kMost, size = c.pixels / tiles, larger = c.pixels % tiles;
  const float* w = c.w + panel * c.w_panel;
  int pixel = 0;
  for (const auto& [count, pixels] : {std::pair{larger, size + 1}, {tiles - larger, size}}) {
    if (count == 0) continue;
    const TileFn run = tile_for<kPanels, kHalf>(pixels);
    for (int i = 0; i < count; ++i, pixel += pixels) run(c, c.x + pixel * kBlock, w, panel, pixel);
  }
}

constexpr int kMostPanels = kLanes == kBlock ? 2 : 1;  // per tile

void conv(const ConvCall& c) noexcept {
  const int whole = c.out / kBlock, rest = c.out % kBlock;
  const bool half = rest > 0 && rest <= kBlock / 2 && whole > 0;
  const int panels = whole + (rest > 0 && !half ? 1 : 0);
  int panel = 0;
  if (c.pixels == 1) {  // a matrix times a vector: many panels, so that memory delivers several at once
    for (; panel + kVectorPanels <= panels - (half ? 1 : 0); panel += kVectorPanels)
      tile<1, kVectorPanels, false>(c, c.x, c.w + panel * c.w_panel, panel, 0);
  }
  while (panel < panels) {
    const int left = panels - panel;
    if (half && left == 1) {
      columns<1, true>(c, panel);
      return;
    }
    if (kMostPanels == 2 && left >= 2 && !(half && left == 2)) {
      columns<kMostPanels, false>(c, panel);
      panel += kMostPanels;
    } else {
      columns<1, false>(c, panel);
      ++panel;
    }
  }
}

// P neighbouring outputs of one panel from planes of single channels; `stored` of them are written. K 0: any
// kernel.
template <int P, int K>
void stem_tile(const ConvCall& c, const float* x, const float* w, std::ptrdiff_t panel, int pixel,
               int stored) {
  const D d;
  const int kernel = K == 0 ? c.kernel : K;
  DSN_UNROLL for (int v = 0; v < kVecs; ++v) {
    const int lane = v * kLanes;
    const float* wp = w + lane;
    V acc[P];
    DSN_UNROLL for (int p = 0; p < P; ++p) acc[p] = hn::Zero(d);
    for (int channel = 0; channel < c.in; ++channel) {
      for (int ky = 0; ky < kernel; ++ky) {
        const float* row = x + channel * c.x_block + ky * c.x_row;
        DSN_UNROLL for (int kx = 0; kx < kernel; ++kx, wp += kBlock) {
          const V weight = hn::Load(d, wp);
          const float* xp = row + c.x_tap[kx];
          DSN_UNROLL for (int p = 0; p < P; ++p) acc[p] = hn::MulAdd(hn::Set(d, xp[p]), weight, acc[p]);
        }
      }
    }
    const std::ptrdiff_t first = panel * kBlock + lane;
    const V s = hn::Load(d, c.scale + first), b = hn::Load(d, c.bias + first);
    float* y = c.y + panel * c.y_block + std::ptrdiff_t{pixel} * kBlock + lane;
    DSN_UNROLL for (int p = 0; p < P; ++p) acc[p] = activated(d, hn::MulAdd(acc[p], s, b), c.epilogue);
    if (stored == P) {
      DSN_UNROLL for (int p = 0; p < P; ++p) hn::Store(acc[p], d, y + p * kBlock);
    } else {
      DSN_UNROLL for (int p = 0; p < P; ++p) {
        if (p < stored) hn::Store(acc[p], d, y + p * kBlock);
      }
    }
  }
}

template <int P>
void stem_rows(const ConvCall& c) {
  for (int panel = 0; panel < blocks_of(c.out); ++panel) {
    const float* w = c.w + panel * c.w_panel;
    for (int pixel = 0; pixel < c.pixels; pixel += P) {
      const int stored = c.pixels - pixel < P ? c.pixels - pixel : P;
      if (c.kernel == 3) {
        stem_tile<P, 3>(c, c.x + pixel, w, panel, pixel, stored);
      } else {
        stem_tile<P, 0>(c, c.x + pixel, w, panel, pixel, stored);
      }
    }
  }
}

void stem(const ConvCall& c) noexcept {
  // The width that wastes the least.
  const auto computed = [&](int width) { return (c.pixels + width - 1) / width * width; };
  if (computed(10) < computed(14) && kManyRegisters) {
    stem_rows<10>(c);
  } else {
    stem_rows<kManyRegisters ? 14 : 8>(c);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace dsn::elastic
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dsn::elastic {

ConvKernels conv_kernels(Target target) noexcept {
#define DSN_TABLE(target_namespace) \
  { &target_namespace::conv, &target_namespace::stem }
#include "dsn/engine/elastic/target_switch.inc"
#undef DSN_TABLE
}

}  // namespace dsn::elastic
#endif

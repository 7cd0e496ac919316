// SPDX-License-Identifier: Apache-2.0
// Inverted residual blocks and bottlenecks.
#include <algorithm>
#include <array>
#include <cstring>

#include "dsn/engine/elastic/runner.h"

namespace dsn::elastic {
namespace {

constexpr std::ptrdiff_t kOneTap[] = {0};
constexpr int kMostRows = 64;  // of a kernel

}  // namespace

void Runner::mbconv(const Unit& unit, const UnitPlan& p, const Map& x, const Map& y) {
  const Map middle{work_.middle[0].data(), unit.mid_channels, unit.out_size};
  expand_and_depthwise(unit, p, x, middle);
  if (p.se_reduce.in > 0) squeeze_excite(p, middle);
  pointwise(p.project, middle, y, unit.residual ? x.data : nullptr);
}

// Threads own channels: each expands some and convolves them while they are in its cache.
void Runner::expand_and_depthwise(const Unit& unit, const UnitPlan& p, const Map& x, const Map& middle) {
  const int panels = blocks_of(unit.mid_channels), threads = pool_.threads();
  // As many groups as share the panels evenly, of kRingPanels at most.
  int groups = (panels + kRingPanels - 1) / kRingPanels;
  if (threads > 1) groups = std::min(panels, (groups + threads - 1) / threads * threads);
  pool_.run(batch_ * groups, [&](int chunk, int thread) {
    const int image = chunk / groups, group = chunk % groups;
    const int begin = panels * group / groups, end = panels * (group + 1) / groups;
    depthwise_panels(unit, p, x, middle, image, begin, end - begin,
                     work_.rings[static_cast<std::size_t>(thread)].data());
  });
}

// Rows are expanded into the ring just before the kernel reaches them.
void Runner::depthwise_panels(const Unit& unit, const UnitPlan& p, const Map& x, const Map& middle, int image,
                              int first, int panels, float* ring) const {
  const int size = unit.in_size, kernel = unit.kernel, pad = kernel / 2;
  const RingShape shape(size, kernel, unit.stride);
  const std::ptrdiff_t row = shape.row * kBlock, panel = row * shape.rows;
  float* const nothing = ring + kRingPanels * panel;  // a row of zeros, above and below the map
  std::memset(nothing, 0, static_cast<std::size_t>(row) * sizeof(float));
  for (int slot = 0; slot < panels * shape.rows; ++slot) {
    float* at = ring + slot * row;
    std::memset(at, 0, static_cast<std::size_t>(pad * kBlock) * sizeof(float));
    std::memset(at + (pad + size) * kBlock, 0, static_cast<std::size_t>(pad * kBlock) * sizeof(float));
  }

  ConvCall expand;
  if (unit.expands) {
    expand.x_block = x.block();
    expand.x_tap = kOneTap;
    expand.in = p.expand.in;
    expand.w = p.expand.w.data + first * p.expand.w.panel;
    expand.w_panel = p.expand.w.panel;
    expand.scale = p.expand.scale + first * kBlock;
    expand.bias = p.expand.bias + first * kBlock;
    expand.y_block = panel;
    expand.pixels = size;
    expand.out = std::min(panels * kBlock, unit.mid_channels - first * kBlock);
    expand.epilogue = p.expand.epilogue;
  }
  const float* from = x.data + image * x.image();
  const auto make_row = [&](int y) {
    float* to = ring + y % shape.rows * row + pad * kBlock;
    if (unit.expands) {
      ConvCall call = expand;
      call.x = from + std::ptrdiff_t{y} * size * kBlock;
      call.y = to;
      kernels_.conv(call);
      return;
    }
    for (int b = 0; b < panels; ++b) {
      std::memcpy(to + b * panel, from + (first + b) * x.block() + std::ptrdiff_t{y} * size * kBlock,
                  static_cast<std::size_t>(size * kBlock) * sizeof(float));
    }
  };

  const bool pools = p.se_reduce.in > 0;
  DepthwiseCall call;
  call.pixels = middle.size;
  call.kernel = kernel;
  call.stride = unit.stride;
  call.epilogue = p.depth.epilogue;
  for (int b = 0; b < panels && pools; ++b)
    std::memset(work_.pooled.data() + ((first + b) * batch_ + image) * kBlock, 0, kBlock * sizeof(float));
  int made = 0;
  std::array<const float*, kMostRows> rows{};
  for (int y = 0; y < middle.size; ++y) {
    const int top = y * unit.stride - pad;
    for (const int end = std::min(size, top + kernel); made < end; ++made) make_row(made);
    for (int b = 0; b < panels; ++b) {
      for (int k = 0; k < kernel; ++k) {
        const int at = top + k;
        rows[static_cast<std::size_t>(k)] =
            at < 0 || at >= size ? nothing : ring + b * panel + at % shape.rows * row;
      }
      const std::ptrdiff_t block = first + b;
      call.rows = rows.data();
      call.w = p.depth.w + block * kernel * kernel * kBlock;
      call.scale = p.depth.scale + block * kBlock;
      call.bias = p.depth.bias + block * kBlock;
      call.y = middle.data + image * middle.image() + block * middle.block() +
               std::ptrdiff_t{y} * middle.size * kBlock;
      call.sum = pools ? work_.pooled.data() + (block * batch_ + image) * kBlock : nullptr;
      kernels_.depthwise(call);
    }
  }
}

void Runner::squeeze_excite(const UnitPlan& p, const Map& middle) {
  vector(p.se_reduce, work_.pooled.data(), work_.hidden.data());
  vector(p.se_expand, work_.hidden.data(), work_.gates.data());
  const int blocks = blocks_of(middle.channels);
  pool_.run(batch_ * blocks, [&](int chunk, int) {
    const int image = chunk / blocks, b = chunk % blocks;
    kernels_.scale(middle.data + image * middle.image() + b * middle.block(), middle.size * middle.size,
                   work_.gates.data() + (b * batch_ + image) * kBlock);
  });
}

void Runner::bottleneck(const Unit& unit, const UnitPlan& p, const Map& x, const Map& y) {
  const Map narrow{work_.middle[0].data(), unit.mid_channels, unit.in_size};
  const Map after{work_.middle[1].data(), unit.mid_channels, unit.out_size};
  const float* residual = x.data;
  if (!unit.residual) {
    Map averaged = x;
    if (unit.stride > 1) {
      averaged = {work_.middle[0].data(), x.channels, unit.out_size};
      average(x, averaged, unit.stride);
    }
    pointwise(p.shortcut, averaged, y, nullptr);
    residual = y.data;
  }
  pointwise(p.expand, x, narrow, nullptr);
  dense(p.middle, narrow, after, nullptr);
  pointwise(p.project, after, y, residual);
}

}  // namespace dsn::elastic

// SPDX-License-Identifier: Apache-2.0
// Inverted residual blocks and bottlenecks.
#include <algorithm>
#include <array>
#include <cstring>

#include "dsn/engine/elastic/runner.h"

namespace dsn::elastic {
namespace {

constexpr int kMostRows = 64;  // of a kernel

}  // namespace

void Runner::mbconv(const Unit& unit, const UnitPlan& p, const Map& x, const Map& y) {
  if (!unit.expands && p.se_reduce.in == 0) return depthwise_and_project(unit, p, x, y);
  const Map middle{work_.middle[0].data(), unit.mid_channels, unit.out_size};
  expand_and_depthwise(unit, p, x, middle);
  if (p.se_reduce.in > 0) squeeze_excite(p, middle);
  pointwise(p.project, middle, y, unit.residual ? x.data : nullptr);
}

// Threads own channels: each expands some and convolves them while they are in its cache. Where there are too
// few to share evenly, they own parts of the map instead, and compute the rows at the seams twice.
void Runner::expand_and_depthwise(const Unit& unit, const UnitPlan& p, const Map& x, const Map& middle) {
  const int panels = blocks_of(unit.mid_channels), threads = pool_.threads();
  const bool uneven = panels % threads != 0 && panels < 8 * threads;
  const bool large = unit.out_size >= 4 * threads * unit.kernel / unit.stride;
  const int bands = uneven && large && p.se_reduce.in == 0 ? threads : 1;
  // As many groups as share the panels evenly, of kRingPanels at most.
  int groups = (panels + kRingPanels - 1) / kRingPanels;
  if (bands == 1) groups = std::min(panels, (groups + threads - 1) / threads * threads);
  pool_.run(batch_ * bands * groups, [&](int chunk, int thread) {
    const int group = chunk % groups, band = chunk / groups % bands;
    Part part;
    part.image = chunk / groups / bands;
    part.first = panels * group / groups;
    part.panels = panels * (group + 1) / groups - part.first;
    part.top = middle.size * band / bands;
    part.bottom = middle.size * (band + 1) / bands;
    part.to = middle.data + part.image * middle.image() + std::ptrdiff_t{part.top} * middle.size * kBlock;
    part.to_block = middle.block();
    depthwise_part(unit, p, x, part, work_.rings[static_cast<std::size_t>(thread)].data());
  });
}

// A block that only filters: few rows at a time, projected while they are in the cache.
void Runner::depthwise_and_project(const Unit& unit, const UnitPlan& p, const Map& x, const Map& y) {
  const int panels = blocks_of(unit.mid_channels), bands = (y.size + kBandRows - 1) / kBandRows;
  const RingShape ring(unit.in_size, unit.kernel, unit.stride);
  pool_.run(batch_ * bands, [&](int chunk, int thread) {
    float* scratch = work_.rings[static_cast<std::size_t>(thread)].data();
    Part part;
    part.image = chunk / bands;
    part.top = chunk % bands * kBandRows;
    part.bottom = std::min(y.size, part.top + kBandRows);
    const int pixels = (part.bottom - part.top) * y.size;
    float* const rows = scratch + (kRingPanels * ring.rows + 1) * ring.row * kBlock;
    part.to_block = std::ptrdiff_t{pixels} * kBlock;
    for (part.first = 0; part.first < panels; part.first += kRingPanels) {
      part.panels = std::min(kRingPanels, panels - part.first);
      part.to = rows;
      depthwise_part(unit, p, x, part, scratch);
    }
    ConvCall project = pointwise_call(p.project);
    const std::ptrdiff_t at = part.image * y.image() + std::ptrdiff_t{part.top} * y.size * kBlock;
    project.x = rows;
    project.x_block = part.to_block;
    project.y = y.data + at;
    project.residual = unit.residual ? x.data + at : nullptr;
    project.y_block = project.residual_block = y.block();
    project.pixels = pixels;
    kernels_.conv(project);
  });
}

// Rows are expanded into the ring just before the kernel reaches them.
void Runner::depthwise_part(const Unit& unit, const UnitPlan& p, const Map& x, const Part& part,
                            float* ring) const {
  const int image = part.image, first = part.first, panels = part.panels;
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
    expand = pointwise_call(p.expand);
    expand.w += first * expand.w_panel;
    expand.scale += first * kBlock;
    expand.bias += first * kBlock;
    expand.x_block = x.block();
    expand.y_block = panel;
    expand.pixels = size;
    expand.out = std::min(panels * kBlock, unit.mid_channels - first * kBlock);
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
  call.pixels = unit.out_size;
  call.kernel = kernel;
  call.stride = unit.stride;
  call.epilogue = p.depth.epilogue;
  for (int b = 0; b < panels && pools; ++b)
    std::memset(work_.pooled.data() + ((first + b) * batch_ + image) * kBlock, 0, kBlock * sizeof(float));
  int made = std::max(0, part.top * unit.stride - pad);
  std::array<const float*, kMostRows> rows{};
  for (int y = part.top; y < part.bottom; ++y) {
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
      call.y = part.to + block * part.to_block + std::ptrdiff_t{y - part.top} * unit.out_size * kBlock;
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

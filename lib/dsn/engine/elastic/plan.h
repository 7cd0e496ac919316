// SPDX-License-Identifier: Apache-2.0
// A level made ready: for each unit, which part of the shared weights it reads, and its own batch norms as
// scale and bias.
#pragma once

#include <vector>

#include "dsn/engine/elastic/kernels.h"
#include "dsn/engine/elastic/weights.h"
#include "dsn/engine/executor.h"

namespace dsn::elastic {

// A convolution or linear layer. in 0: the unit has none.
struct ConvStep {
  PackedConv w;
  const float *scale = nullptr, *bias = nullptr;
  int in = 0, out = 0, kernel = 1, stride = 1;
  Epilogue epilogue;
};

struct DepthwiseStep {
  const float *w = nullptr, *scale = nullptr, *bias = nullptr;
  int channels = 0, kernel = 1, stride = 1;
  Epilogue epilogue;
};

// In a bottleneck expand, middle and project are its three convolutions; units that are no block have project
// alone.
struct UnitPlan {
  ConvStep expand, middle, project, shortcut, se_reduce, se_expand;
  DepthwiseStep depth;
  bool from_vector = false;  // its input is pooled already
};

struct LevelPlan {
  Network network;
  std::vector<UnitPlan> units;
  Floats constants;  // what the steps' scale and bias point to

  // Of the plan's steps themselves: what will really be computed.
  [[nodiscard]] std::int64_t macs() const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;
};

// Floats per image, or per thread where said, that running a level needs.
struct Needs {
  std::size_t plane = 0;   // a unit's output
  std::size_t middle = 0;  // inside a block
  std::size_t padded = 0;  // a map with a border
  std::size_t vector = 0;  // one pixel of the widest layer
  std::size_t ring = 0;    // per thread: rows on their way from one layer to the next
};

// Throws Error{mismatch}: statistics of another sub-network, or a plan that would compute another network
// than `spec` says. `name` is for messages: "level 2".
[[nodiscard]] LevelPlan make_plan(const SearchSpace& space, const Weights& weights, const LevelSpec& spec,
                                  const std::string& name);
[[nodiscard]] Needs needs_of(const LevelPlan& plan);

// A map of `size` x `size` with a border of `pad`, columns split by remainder of `stride`.
struct PaddedShape {
  PaddedShape(int size, int kernel, int stride);
  int pad, rows, part;  // part: columns of one remainder
  std::ptrdiff_t row;   // pixels of a row, all remainders
};

// Rows of the ring of a depthwise step, and pixels of one.
struct RingShape {
  RingShape(int size, int kernel, int stride);
  int rows;
  std::ptrdiff_t row;
};
inline constexpr int kRingPanels = 2;  // blocks of channels that are expanded together
inline constexpr int kBandRows = 4;    // rows that the first units work on at a time
// Rows of the image that a band of a convolution reads.
[[nodiscard]] constexpr int band_rows_in(const ConvStep& step) noexcept {
  return (kBandRows - 1) * step.stride + step.kernel;
}

}  // namespace dsn::elastic

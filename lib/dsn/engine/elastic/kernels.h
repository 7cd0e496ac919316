// SPDX-License-Identifier: Apache-2.0
// The engine's inner loops, compiled once per instruction set (Google Highway) and chosen at run time.
//
// All of them compute on what layout.h describes, never allocate, and may read (not write) up to kSlack
// floats beyond a row: buffers have that much at their end.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace dsn::elastic {

inline constexpr std::size_t kSlack = 1024;  // floats

// What becomes of a sum before it is stored: y = act(sum * scale + bias).
struct Epilogue {
  float low = 0, high = 0;  // clamp
  bool hswish = false;      // instead of the clamp
  bool add_after = false;   // the residual is added after the activation
};

// A convolution of `pixels` neighbouring outputs for `out` channels: a 1x1, or a row of a k x k
// one over a padded map. Neighbouring outputs read neighbouring pixels: a strided convolution's map has its
// columns split by remainder (x % stride), so that x_tap leads to the right ones.
struct ConvCall {
  const float* x = nullptr;               // what the first output's first tap reads
  std::ptrdiff_t x_block = 0, x_row = 0;  // floats between channel blocks, between kernel rows
  const std::ptrdiff_t* x_tap = nullptr;  // [kernel] floats to each kernel column
  int in = 0, kernel = 1;
  const float* w = nullptr;                       // first panel
  std::ptrdiff_t w_panel = 0;                     // floats between panels
  const float *scale = nullptr, *bias = nullptr;  // [out], padded with zeros to whole blocks
  const float* residual = nullptr;                // like y; may be y; null: none
  float* y = nullptr;
  std::ptrdiff_t y_block = 0, residual_block = 0;
  int pixels = 0, out = 0;
  Epilogue epilogue;
};

// A row of a depthwise convolution of one block of channels.
struct DepthwiseCall {
  const float* const* rows = nullptr;             // [kernel] input rows at the first output's first column
  const float* w = nullptr;                       // [kernel * kernel][16]
  const float *scale = nullptr, *bias = nullptr;  // [16]
  float* y = nullptr;
  float* sum = nullptr;  // [16], the outputs are added to it; may be null
  int pixels = 0, kernel = 3, stride = 1;
  Epilogue epilogue;
};

struct Kernels {
  std::string_view name;
  void (*conv)(const ConvCall&) noexcept;
  // The same on planes of single channels (x_block: floats between planes), for the image itself.
  // Weights: [N/16][in][k*k][16 n].
  void (*stem)(const ConvCall&) noexcept;
  void (*depthwise)(const DepthwiseCall&) noexcept;
  // y[16] = sum over `pixels` of a block.
  void (*sum)(const float* x, int pixels, float* y) noexcept;
  // x[pixels][16] *= by[16].
  void (*scale)(float* x, int pixels, const float* by) noexcept;
  // x[count] in turn to `first` and `second`.
  void (*split)(const float* x, int count, float* first, float* second) noexcept;
};

// Instruction sets that were compiled and that this CPU runs, best first.
[[nodiscard]] std::vector<std::string_view> kernel_targets();
// name: one of these; "": the environment's DSN_ENGINE_TARGET, or else the first. Throws Error{bad_usage} for
// an unknown name, Error{unsupported} for what this CPU cannot run.
[[nodiscard]] const Kernels& kernels_for(std::string_view name = "");

}  // namespace dsn::elastic

// SPDX-License-Identifier: Apache-2.0
// 1x1 convolutions over maps and over single pixels.
#include <algorithm>

#include "dsn/engine/elastic/runner.h"

namespace dsn::elastic {
namespace {

constexpr std::ptrdiff_t kOneTap[] = {0};
constexpr int kPanelsPerPiece = 2;  // what the widest kernels take at once

// `call` restricted to the panels [first, last).
void take_panels(ConvCall& call, int first, int last) {
  call.w += first * call.w_panel;
  call.scale += first * kBlock;
  call.bias += first * kBlock;
  call.y += first * call.y_block;
  if (call.residual != nullptr) call.residual += first * call.residual_block;
  call.out = std::min(call.out, last * kBlock) - first * kBlock;
}

int begin_of(int piece, int pieces, int total) {
  return static_cast<int>(std::int64_t{total} * piece / pieces);
}

}  // namespace

ConvCall pointwise_call(const ConvStep& step) {
  return call_of(step, kOneTap);
}

void Runner::pointwise(const ConvStep& step, const Map& x, const Map& y, const float* residual) {
  ConvCall call = pointwise_call(step);
  call.x_block = x.block();
  call.y_block = call.residual_block = y.block();
  const int pixels = x.size * x.size, panels = blocks_of(step.out);
  // Threads share the pixels, or the outputs where the weights are the larger part.
  const bool by_pixels = pixels >= step.out;
  const int parts = by_pixels ? pixels / 8 : (panels + kPanelsPerPiece - 1) / kPanelsPerPiece;
  const int threads = pool_.threads();
  const int pieces = threads == 1 ? 1 : std::clamp(parts, 1, 4 * threads);
  pool_.run(batch_ * pieces, [&](int chunk, int) {
    const int image = chunk / pieces, piece = chunk % pieces;
    ConvCall c = call;
    c.x = x.data + image * x.image();
    c.y = y.data + image * y.image();
    c.residual = residual == nullptr ? nullptr : residual + image * y.image();
    c.pixels = pixels;
    if (by_pixels) {
      const int begin = begin_of(piece, pieces, pixels), end = begin_of(piece + 1, pieces, pixels);
      c.x += begin * kBlock;
      c.y += begin * kBlock;
      if (c.residual != nullptr) c.residual += begin * kBlock;
      c.pixels = end - begin;
    } else {
      const int begin = begin_of(piece, pieces, parts), end = begin_of(piece + 1, pieces, parts);
      take_panels(c, begin * kPanelsPerPiece, std::min(panels, end * kPanelsPerPiece));
    }
    kernels_.conv(c);
  });
}

void Runner::vector(const ConvStep& step, const float* x, float* y) {
  ConvCall call = pointwise_call(step);
  call.x_block = call.y_block = std::ptrdiff_t{batch_} * kBlock;
  call.x = x;
  call.y = y;
  call.pixels = batch_;
  constexpr std::int64_t kWorthSharing = 1 << 16;  // multiply-accumulates
  const int panels = blocks_of(step.out), parts = (panels + kPanelsPerPiece - 1) / kPanelsPerPiece;
  const bool share = std::int64_t{step.in} * step.out * batch_ >= kWorthSharing;
  const int pieces = share ? std::min(parts, pool_.threads() == 1 ? 1 : 4 * pool_.threads()) : 1;
  pool_.run(pieces, [&](int piece, int) {
    ConvCall c = call;
    const int begin = begin_of(piece, pieces, parts), end = begin_of(piece + 1, pieces, parts);
    take_panels(c, begin * kPanelsPerPiece, std::min(panels, end * kPanelsPerPiece));
    kernels_.conv(c);
  });
}

void Runner::pool_map(const Map& x, float* y) {
  const int blocks = blocks_of(x.channels), pieces = std::min(blocks, 2 * pool_.threads());
  pool_.run(batch_ * pieces, [&](int chunk, int) {
    const int image = chunk / pieces, piece = chunk % pieces;
    for (int b = blocks * piece / pieces; b < blocks * (piece + 1) / pieces; ++b)
      kernels_.sum(x.data + image * x.image() + b * x.block(), x.size * x.size,
                   y + (b * batch_ + image) * kBlock);
  });
}

}  // namespace dsn::elastic

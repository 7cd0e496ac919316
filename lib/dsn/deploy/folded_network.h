// SPDX-License-Identifier: Apache-2.0
// One sub-network as a plain list of layers with weights of their own: batch norm folded into the
// convolutions, kernel transforms applied, nothing shared and nothing elastic left. What every export format
// is written from. No LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/core/safetensors.h"
#include "dsn/engine/executor.h"
#include "dsn/space/network.h"

namespace dsn {

enum class LayerKind {
  conv,             // with bias, symmetric padding, groups
  linear,           // its input flattened, times the transposed weight, plus bias
  relu,             // max(x, 0)
  relu6,            // min(max(x, 0), 6)
  hswish,           // x * hsigmoid(x)
  hsigmoid,         // min(max(x / 6 + 1 / 2, 0), 1)
  add,              // of its two inputs, which have one shape
  multiply,         // first input [C, H, W] times second input [C, 1, 1]
  max_pool,         // with symmetric padding, which never wins
  avg_pool,         // windows at the lower and right edge are cut, and average over what is inside
  global_avg_pool,  // to [C, 1, 1]
};
[[nodiscard]] std::string_view to_string(LayerKind kind) noexcept;

// A layer and what it gives: [channels, size, size]; [channels] for linear.
struct Layer {
  LayerKind kind = LayerKind::conv;
  std::string name;                 // unique in its network: "blocks.3.depth"
  std::vector<std::string> inputs;  // names of layers before it, or FoldedNetwork::kInput
  int channels = 0, size = 0;
  int kernel = 1, stride = 1, padding = 0;  // conv and pools
  int groups = 1;                           // conv
  // conv: [channels, in channels / groups, kernel, kernel]; linear: [channels, inputs]; else empty.
  std::vector<std::int64_t> weight_shape;
  std::vector<float> weight, bias;  // bias: [channels] where there is a weight
};

// input: float32 [N, in_channels, resolution, resolution], normalised; the last layer gives the logits
// [N, classes]. Layers are in an order in which they can be computed.
struct FoldedNetwork {
  static constexpr const char* kInput = "input";
  int resolution = 0, in_channels = 0, classes = 0;
  std::vector<Layer> layers;
  [[nodiscard]] std::int64_t weight_bytes() const noexcept;
};

// `weights`: a super-network's tensors (supernet.h); level.bn: the sub-network's own statistics, used whole
// or refused; empty: the shared ones. Scales are computed in double precision. Throws Error{mismatch} naming
// the tensor that does not fit `space`, or the batch norm without statistics; as SearchSpace::validate().
[[nodiscard]] FoldedNetwork fold_network(const SearchSpace& space, const TensorFile& weights,
                                         const LevelSpec& level);

}  // namespace dsn

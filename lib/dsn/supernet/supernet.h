// SPDX-License-Identifier: Apache-2.0
// The elastic network in LibTorch: one set of weights, every sub-network of a search space.
//
// Weight sharing follows Once-for-All (Cai et al., ICLR 2020): a narrower block uses the first channels, a
// shallower stage the first blocks, a narrower network the first channels of every layer, a smaller kernel
// the centre of the next larger one through a learned linear transform (7 -> 5 -> 3).
//
// Tensors in a checkpoint, by Unit::name(), L standing for
// {conv.weight,bn.{weight,bias,running_mean,running_var}}:
//
//  - "stem.L", "final_expand.L", "feature_mix.weight", "classifier.{weight,bias}"
//  - mbconv: "first.{depth,project}.L", "blocks.N.{expand,depth,project}.L", "blocks.N.depth.transform_7to5",
//    "blocks.N.se.{reduce,expand}.{weight,bias}"
//  - bottleneck: "stem.residual.L", "stem.out.L", "blocks.N.{conv1,conv2,conv3}.L", and "blocks.N.shortcut.L"
//    in the first block of a stage
// Batch norms have the name before ".weight" in statistics of their own: "blocks.3.depth.bn" (bn_stats.h).
#pragma once

#include <torch/torch.h>

#include <map>
#include <string>
#include <vector>

#include "dsn/core/random.h"
#include "dsn/core/safetensors.h"
#include "dsn/space/bn_stats.h"
#include "dsn/space/network.h"

namespace dsn {

// What batch norm does in a forward pass.
enum class BnMode {
  batch,         // statistics of this batch (training); running statistics stay
  batch_update,  // the same, and the running statistics follow (the largest sub-network in training)
  stored,        // given statistics, or the running ones where none are given (inference)
};

// Per batch norm: mean and biased variance, float32 [active channels].
struct BnTensors {
  torch::Tensor mean, variance;
};
using BnTensorMap = std::map<std::string, BnTensors>;

// thread-compatible: forward() in BnMode::stored and calibrate() only read the weights and may run on several
// threads at once.
class Supernet {
 public:
  // Fresh weights: He normal for convolutions, ones and zeros for batch norm, the last one of each block
  // that has a shortcut zero.
  Supernet(SearchSpace space, std::uint64_t seed);
  // Weights from a checkpoint. Throws Error{bad_input | mismatch} naming file, tensor, found and expected
  // shape.
  Supernet(SearchSpace space, const TensorFile& checkpoint);

  // A super-network over the same weights with gradients and running statistics of its own, for data-parallel
  // training.
  [[nodiscard]] Supernet replica() const;

  [[nodiscard]] const SearchSpace& space() const noexcept { return space_; }

  // x: float32 [N, C, R, R], any memory format (computed in channels-last, which oneDNN runs fastest), R =
  // config.r (any R fits the weights); returns logits float32 [N, classes]. `stats` (BnMode::stored only):
  // statistics of this very sub-network. dropout: rate before the classifier.
  [[nodiscard]] torch::Tensor forward(const torch::Tensor& x, const SubnetConfig& config, BnMode mode,
                                      const BnTensorMap* stats = nullptr, double dropout = 0.0,
                                      std::uint64_t dropout_seed = 0);

  // Statistics of `config` over `batches` ([N, C, r, r] each): average of the batches' means and biased
  // variances weighted by size, as Once-for-All's set_running_statistics does. Does not change the
  // super-network.
  [[nodiscard]] BnTensorMap calibrate(const std::vector<torch::Tensor>& batches, const SubnetConfig& config);

  // Learned tensors by name (share storage with the super-network).
  [[nodiscard]] std::map<std::string, torch::Tensor>& parameters() noexcept { return parameters_; }
  [[nodiscard]] const std::map<std::string, torch::Tensor>& parameters() const noexcept {
    return parameters_;
  }
  // Running statistics by name.
  [[nodiscard]] std::map<std::string, torch::Tensor>& buffers() noexcept { return buffers_; }

  // The first `out` x `in` channels of a convolution's or linear layer's weight, contiguous.
  [[nodiscard]] torch::Tensor weight(const std::string& name, std::int64_t out, std::int64_t in) const;

  // Depthwise weight of `block` at `kernel` for the first `channels`, float32 [channels, 1, kernel, kernel].
  [[nodiscard]] torch::Tensor depthwise_weight(int block, int channels, int kernel) const;

  // Permutes the inner channels of every elastic block so that the most important (L1 norm of the weights
  // that read them) come first: prefixes then lose least. The function of the largest sub-network does not
  // change.
  void sort_channels();

  // Parameters and running statistics, as views for write_safetensors(). Valid while the super-network lives
  // and stays on the CPU.
  [[nodiscard]] std::map<std::string, TensorView> tensor_views() const;

  void to(torch::Device device);
  [[nodiscard]] torch::Device device() const noexcept { return device_; }

 private:
  explicit Supernet(SearchSpace space) : space_(std::move(space)) {}
  struct Pass;  // one forward pass
  void declare(Rng* rng);
  void add_conv(const std::string& name, std::vector<std::int64_t> shape, Rng* rng);
  void add_bn(const std::string& name, std::int64_t channels, double gamma);

  // Permutes the channels that `producers` give and `consumer` reads by importance; returns the order.
  torch::Tensor sort_between(const std::vector<std::string>& producers, const std::string& consumer);

  SearchSpace space_;
  std::map<std::string, torch::Tensor> parameters_, buffers_;
  torch::Device device_{torch::kCPU};
};

// Between calibrated statistics and their file form.
[[nodiscard]] BnStats to_bn_stats(const BnTensorMap& tensors);
[[nodiscard]] BnTensorMap to_bn_tensors(const BnStats& stats);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Search spaces of elastic networks, and the sub-networks in them. No LibTorch.
//
// A space is data (`dsn.space` JSON): stem, stages of blocks with elastic depth, expand ratio and kernel,
// head, elastic input resolution and, where the document has "width", elastic width. Blocks are of one kind:
//
//  - "mbconv" (where "block" is absent): MobileNetV3, ProxylessNAS. A fixed first block follows the stem.
//  - "bottleneck": ResNet-D. The stem is two or three convolutions and a max pool; there is no head.
//
// Structure and channel rounding follow Once-for-All (Cai et al., ICLR 2020,
// https://arxiv.org/abs/1908.09791), so that its checkpoints fit. Block index: blocks are numbered over all
// elastic stages at their largest depth; e and k have one entry per block.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/core/random.h"

namespace dsn {

enum class Activation { none, relu, relu6, hswish };
[[nodiscard]] std::string_view to_string(Activation act) noexcept;

enum class BlockKind { mbconv, bottleneck };

// A stage: blocks of one output width; the first block has the stride and changes the width.
struct StageSpace {
  int channels = 0;
  int stride = 1;
  Activation act = Activation::relu;
  bool se = false;         // squeeze-and-excitation, reduction 4; mbconv only
  std::vector<int> depth;  // allowed block counts, ascending; depth.back() blocks exist
  // Allowed expand ratios, ascending: inner width over input width (mbconv) or over output width
  // (bottleneck).
  std::vector<double> expand;
  // Allowed kernel sizes, odd, ascending; elastic kernels share weights 7 -> 5 -> 3. Bottlenecks have one.
  std::vector<int> kernel;
};

// One choice in a space. Entries of e and k at blocks beyond d[stage] are kept but mean nothing (see
// canonical()).
struct SubnetConfig {
  int r = 0;              // input resolution, pixels
  std::vector<int> d;     // [stages] active blocks
  std::vector<double> e;  // [blocks] expand ratio
  std::vector<int> k;     // [blocks] kernel size
  std::vector<double> w;  // [SearchSpace::width_count()] width ratios; empty where the width is fixed
  int s = 0;              // residual convolutions in the stem, see SearchSpace::stem_depth()
  friend bool operator==(const SubnetConfig&, const SubnetConfig&) = default;
};

// Immutable after parse(): const members are thread-safe. Widths are those of the largest sub-network:
// width_mult is applied and rounded, elastic width is not.
class SearchSpace {
 public:
  // Reads a `dsn.space` document. width_mult > 0 replaces the document's own. Throws Error{bad_input} with
  // the JSON path.
  static SearchSpace parse(const Json& document, const std::string& file, double width_mult = 0);
  // `name_or_path`: a shipped space ("ofa-mbv3", see shipped()) or a file. classes > 0 replaces the
  // document's own.
  static SearchSpace load(const std::string& name_or_path, double width_mult = 0, int classes = 0);
  [[nodiscard]] static std::vector<std::string> shipped();
  // This space with `r` among its resolutions: weights fit any, so one may evaluate where the space lists
  // none
  // ("--r 48"). document() and sha256() stay, for it is still the same super-network. Throws Error{bad_input}
  // outside 8 to 4096 pixels.
  [[nodiscard]] SearchSpace with_resolution(int r) const;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] double width_mult() const noexcept { return width_mult_; }
  [[nodiscard]] int classes() const noexcept { return classes_; }
  [[nodiscard]] int in_channels() const noexcept { return in_channels_; }
  [[nodiscard]] const std::vector<int>& resolutions() const noexcept { return resolutions_; }
  [[nodiscard]] const std::vector<StageSpace>& stages() const noexcept { return stages_; }
  [[nodiscard]] BlockKind block_kind() const noexcept { return block_kind_; }
  [[nodiscard]] int stem_channels() const noexcept { return stem_channels_; }
  [[nodiscard]] int stem_stride() const noexcept { return stem_stride_; }
  [[nodiscard]] Activation stem_act() const noexcept { return stem_act_; }
  // bottleneck: allowed counts of residual convolutions in the stem, of 0 and 1; empty in mbconv spaces.
  [[nodiscard]] const std::vector<int>& stem_depth() const noexcept { return stem_depth_; }
  // mbconv: the fixed block after the stem: depthwise kernel 3 and projection, no expansion.
  [[nodiscard]] int first_channels() const noexcept { return first_channels_; }
  [[nodiscard]] int first_stride() const noexcept { return first_stride_; }
  [[nodiscard]] Activation first_act() const noexcept { return first_act_; }
  // mbconv: the head.
  [[nodiscard]] int final_expand_channels() const noexcept { return final_expand_channels_; }
  [[nodiscard]] int feature_channels() const noexcept {
    return feature_channels_;
  }  // 0: no feature mix before the classifier
  [[nodiscard]] Activation head_act() const noexcept { return head_act_; }
  [[nodiscard]] double bn_eps() const noexcept { return bn_eps_; }

  // Allowed width ratios, ascending, the last one 1; empty: fixed width.
  [[nodiscard]] const std::vector<double>& width() const noexcept { return width_; }
  // Entries of SubnetConfig::w. 0: fixed width. 1 ("width_per": "network", the default): one ratio scales
  // every layer, as in slimmable networks (Yu et al., ICLR 2019, https://arxiv.org/abs/1812.08928). More
  // ("stage", for bottlenecks): the stem's inner convolutions, its output, then each stage, as in
  // Once-for-All's ResNet50.
  [[nodiscard]] int width_count() const noexcept { return width_count_; }
  // Ratio in `config` of kStemInner, kStemOutput or kStemParts + stage; 1 where the width is fixed.
  [[nodiscard]] double width_ratio(const SubnetConfig& config, int part) const noexcept;
  static constexpr int kStemInner = 0, kStemOutput = 1, kStemParts = 2;

  [[nodiscard]] int stage_count() const noexcept { return static_cast<int>(stages_.size()); }
  [[nodiscard]] int block_count() const noexcept { return block_count_; }  // sum of largest depths
  [[nodiscard]] int first_block(int stage) const noexcept {
    return first_block_[static_cast<std::size_t>(stage)];
  }
  [[nodiscard]] int stage_of(int block) const noexcept;

  // The document this space was made from, with width_mult and classes as applied; goes into every artefact.
  [[nodiscard]] const Json& document() const noexcept { return document_; }
  // SHA-256 of what defines the weights' and sub-networks' meaning (not name or comments).
  [[nodiscard]] const std::string& sha256() const noexcept { return sha256_; }

  // Throws Error{bad_input} naming key, value and allowed set: "e[3]: found 5, expected one of 3, 4, 6".
  void validate(const SubnetConfig& config) const;
  // Absent blocks set to the smallest choice, so that equal sub-networks compare equal.
  [[nodiscard]] SubnetConfig canonical(SubnetConfig config) const;
  [[nodiscard]] SubnetConfig largest() const;
  [[nodiscard]] SubnetConfig smallest() const;
  // Uniform over each choice independently, as Once-for-All samples; canonical.
  [[nodiscard]] SubnetConfig sample(Rng& rng) const;
  [[nodiscard]] SubnetConfig sample(Rng& rng, int resolution) const;

  // {"r": 24, "d": [...], "e": [...], "k": [...]}, "w": [...] where the width is elastic, "s": 1 where there
  // is stem_depth(); "ks" is accepted for "k" on input. from_json validates.
  [[nodiscard]] Json to_json(const SubnetConfig& config) const;
  [[nodiscard]] SubnetConfig from_json(const JsonView& json) const;
  // One line for people: "r24 d2,1,2 e3,4|6|... k5,3|... w0.5 s1"; active blocks only.
  [[nodiscard]] std::string describe(const SubnetConfig& config) const;

 private:
  static constexpr int kSmallestResolution = 8, kLargestResolution = 4096;  // pixels
  SearchSpace() = default;
  void parse_mbconv(const JsonView& json);
  void parse_bottleneck(const JsonView& json);
  void parse_width(const JsonView& json);

  std::string name_, sha256_;
  double width_mult_ = 1.0, bn_eps_ = 1e-5;
  BlockKind block_kind_ = BlockKind::mbconv;
  int classes_ = 0, in_channels_ = 3, stem_channels_ = 0, stem_stride_ = 2, first_channels_ = 0,
      first_stride_ = 1;
  int final_expand_channels_ = 0, feature_channels_ = 0, block_count_ = 0, width_count_ = 0;
  Activation stem_act_ = Activation::hswish, first_act_ = Activation::relu, head_act_ = Activation::hswish;
  std::vector<int> resolutions_, first_block_, stem_depth_;
  std::vector<double> width_;
  std::vector<StageSpace> stages_;
  Json document_;
};

// Once-for-All's channel rounding: nearest multiple of 8, never below 8, never more than 10 % down.
[[nodiscard]] int make_divisible(double channels, int divisor = 8) noexcept;
// Width of a layer of `channels` at a width ratio: make_divisible(channels * ratio).
[[nodiscard]] int scaled_channels(int channels, double ratio) noexcept;
// Inner width of a block: make_divisible(round(channels * e)).
[[nodiscard]] int expanded_channels(int channels, double expand) noexcept;
// Bottleneck width of squeeze-and-excitation over `channels`.
[[nodiscard]] int se_channels(int channels) noexcept;

}  // namespace dsn

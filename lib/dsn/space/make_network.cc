// SPDX-License-Identifier: Apache-2.0
// How a SubnetConfig becomes units.
#include <algorithm>
#include <utility>

#include "dsn/space/network.h"

namespace dsn {
namespace {

// Height and width after a convolution with odd kernel and "same" padding, or after a pool, of that stride.
int strided(int size, int stride) {
  return (size + stride - 1) / stride;
}

// Appends unit after unit, each to the width and size that the one before gives.
class Builder {
 public:
  Builder(const SearchSpace& space, const SubnetConfig& config)
      : space_(space), config_(config), channels_(space.in_channels()), size_(config.r) {
    net_.resolution = config.r;
    net_.in_channels = space.in_channels();
    net_.classes = space.classes();
  }

  Network build() {
    if (space_.block_kind() == BlockKind::mbconv) {
      mbconv_network();
    } else {
      bottleneck_network();
    }
    add(UnitKind::classifier, space_.classes(), Activation::none);
    pool_to(1);
    return std::move(net_);
  }

 private:
  // Width in this sub-network of a layer with `channels` in the largest.
  [[nodiscard]] int scaled(int channels, int part = 0) const {
    return scaled_channels(channels, space_.width_ratio(config_, part));
  }

  Unit& add(UnitKind kind, int out, Activation act, int kernel = 1, int stride = 1) {
    Unit u;
    u.kind = kind;
    u.in_channels = u.mid_channels = channels_;
    u.out_channels = channels_ = out;
    u.kernel = kernel;
    u.stride = stride;
    u.act = act;
    u.in_size = size_;
    u.out_size = size_ = strided(size_, stride);
    return net_.units.emplace_back(u);
  }

  // The last unit pools: what it gives has this size.
  void pool_to(int size) { net_.units.back().out_size = size_ = size; }

  void mbconv_network() {
    add(UnitKind::stem, scaled(space_.stem_channels()), space_.stem_act(), 3, space_.stem_stride());
    // The largest sub-network's widths decide where there is a residual connection: rounding may make the
    // widths of a narrow one meet.
    Unit& first =
        add(UnitKind::mbconv, scaled(space_.first_channels()), space_.first_act(), 3, space_.first_stride());
    first.residual = first.stride == 1 && space_.stem_channels() == space_.first_channels();
    int before = space_.first_channels();
    each_block([&](const StageSpace& stage, int, std::size_t b, int stride) {
      Unit& u = add(UnitKind::mbconv, scaled(stage.channels), stage.act, config_.k[b], stride);
      u.block = static_cast<int>(b);
      u.expands = true;
      u.mid_channels = expanded_channels(u.in_channels, config_.e[b]);
      u.se_channels = stage.se ? se_channels(u.mid_channels) : 0;
      u.residual = stride == 1 && before == stage.channels;
      before = stage.channels;
    });
    add(UnitKind::final_expand, scaled(space_.final_expand_channels()), space_.head_act());
    if (space_.feature_channels() > 0) {
      add(UnitKind::feature_mix, scaled(space_.feature_channels()), space_.head_act());
      pool_to(1);
    }
  }

  void bottleneck_network() {
    const int inner = make_divisible(scaled(space_.stem_channels(), SearchSpace::kStemInner) / 2);
    const Activation act = space_.stem_act();
    add(UnitKind::stem, inner, act, 3, space_.stem_stride());
    if (config_.s > 0) add(UnitKind::stem_residual, inner, act, 3).residual = true;
    add(UnitKind::stem_pool, scaled(space_.stem_channels(), SearchSpace::kStemOutput), act, 3);
    pool_to(strided(size_, 2));
    each_block([&](const StageSpace& stage, int s, std::size_t b, int stride) {
      const int out = scaled(stage.channels, SearchSpace::kStemParts + s);
      Unit& u = add(UnitKind::bottleneck, out, stage.act, config_.k[b], stride);
      u.block = static_cast<int>(b);
      u.mid_channels = expanded_channels(out, config_.e[b]);
      // A stage's first block has a convolution in its shortcut, whatever the widths of this sub-network.
      u.residual = u.block != space_.first_block(s);
    });
  }

  // visit(stage, its index, block, stride) for each active block.
  template <typename Visit>
  void each_block(Visit visit) {
    for (int s = 0; s < space_.stage_count(); ++s) {
      const StageSpace& stage = space_.stages()[static_cast<std::size_t>(s)];
      for (int i = 0; i < config_.d[static_cast<std::size_t>(s)]; ++i) {
        visit(stage, s, static_cast<std::size_t>(space_.first_block(s) + i), i == 0 ? stage.stride : 1);
      }
    }
  }

  const SearchSpace& space_;
  const SubnetConfig& config_;
  Network net_;
  int channels_, size_;  // of what the last unit gives
};

}  // namespace

Network make_network(const SearchSpace& space, const SubnetConfig& config) {
  space.validate(config);
  return Builder(space, config).build();
}

SubnetConfig uniform_config(const SearchSpace& space, int resolution, std::size_t expand,
                            std::size_t kernel) {
  SubnetConfig config = space.largest();
  config.r = resolution;
  for (int b = 0; b < space.block_count(); ++b) {
    const StageSpace& stage = space.stages()[static_cast<std::size_t>(space.stage_of(b))];
    config.e[static_cast<std::size_t>(b)] = stage.expand[std::min(expand, stage.expand.size() - 1)];
    config.k[static_cast<std::size_t>(b)] = stage.kernel[std::min(kernel, stage.kernel.size() - 1)];
  }
  return config;
}

MostChoices most_choices(const SearchSpace& space) {
  MostChoices most;
  for (const StageSpace& stage : space.stages()) {
    most.expand = std::max(most.expand, stage.expand.size());
    most.kernel = std::max(most.kernel, stage.kernel.size());
  }
  return most;
}

}  // namespace dsn

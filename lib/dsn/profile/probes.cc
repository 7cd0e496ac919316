// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/probes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dsn/core/error.h"

namespace dsn {
namespace {

struct Choice {
  double expand;
  int kernel;
};

std::vector<Choice> choices_of(const StageSpace& stage) {
  std::vector<Choice> choices;
  for (const double expand : stage.expand) {
    for (const int kernel : stage.kernel) choices.push_back({expand, kernel});
  }
  return choices;
}

// What a unit's shape depends on besides its block and that block's own choice: resolution and widths.
struct Frame {
  int r;
  std::vector<double> w;
};

// Enough frames to show every unit. With one ratio per part, a unit depends on its own and on the part
// before: giving the even parts one ratio and the odd ones another goes through all pairs of neighbours.
std::vector<Frame> frames_of(const SearchSpace& space) {
  const std::vector<double> none = {1.0};
  const auto& ratios = space.width_count() > 0 ? space.width() : none;
  const auto& odd_ratios = space.width_count() > 1 ? space.width() : none;
  std::vector<Frame> frames;
  for (const int r : space.resolutions()) {
    for (const double even : ratios) {
      for (const double odd : odd_ratios) {
        Frame frame{r, {}};
        for (int i = 0; i < space.width_count(); ++i) frame.w.push_back(i % 2 == 0 ? even : odd);
        frames.push_back(std::move(frame));
      }
    }
  }
  return frames;
}

// Every unit of the space: networks in which all blocks of a stage make the same choice show them all, in
// every frame.
class UnitTable {
 public:
  explicit UnitTable(const SearchSpace& space) : space_(space), frames_(frames_of(space)) {
    for (const StageSpace& stage : space.stages()) choices_.push_back(choices_of(stage));
    for (const Frame& frame : frames_) add(frame);
  }

  [[nodiscard]] const std::set<std::string>& keys() const noexcept { return keys_; }
  [[nodiscard]] const std::vector<Choice>& choices(int block) const {
    return choices_[static_cast<std::size_t>(space_.stage_of(block))];
  }
  [[nodiscard]] const std::vector<Frame>& frames() const noexcept { return frames_; }
  // Key of `block` under its choice number `choice` in the frame with index `f`.
  [[nodiscard]] const std::string& key(std::size_t f, int block, std::size_t choice) const {
    return block_keys_[f][static_cast<std::size_t>(block)][choice];
  }
  // Keys of the units outside of blocks that the largest sub-network in that frame has.
  [[nodiscard]] const std::vector<std::string>& fixed(std::size_t f) const { return fixed_[f]; }

 private:
  void add(const Frame& frame) {
    auto& blocks = block_keys_.emplace_back(static_cast<std::size_t>(space_.block_count()));
    auto& fixed = fixed_.emplace_back();
    std::size_t most = 0;
    for (const auto& choices : choices_) most = std::max(most, choices.size());
    for (std::size_t i = 0; i < most; ++i) {
      SubnetConfig config = space_.largest();
      config.r = frame.r;
      config.w = frame.w;
      for (int b = 0; b < space_.block_count(); ++b) {
        const Choice& choice = choices(b)[i % choices(b).size()];
        config.e[static_cast<std::size_t>(b)] = choice.expand;
        config.k[static_cast<std::size_t>(b)] = choice.kernel;
      }
      for (const Unit& unit : make_network(space_, config).units) {
        keys_.insert(unit.key());
        if (unit.block < 0) {
          if (i == 0) fixed.push_back(unit.key());
        } else if (i < choices(unit.block).size()) {
          blocks[static_cast<std::size_t>(unit.block)].push_back(unit.key());
        }
      }
    }
  }

  const SearchSpace& space_;
  std::vector<Frame> frames_;
  std::vector<std::vector<Choice>> choices_;                       // [stage]
  std::vector<std::vector<std::vector<std::string>>> block_keys_;  // [frame][block][choice]
  std::vector<std::vector<std::string>> fixed_;                    // [frame]
  std::set<std::string> keys_;
};

}  // namespace

std::set<std::string> unit_keys(const SearchSpace& space) {
  return UnitTable(space).keys();
}

std::vector<SubnetConfig> cover_units(const SearchSpace& space, const std::set<std::string>& wanted,
                                      std::size_t at_least, std::uint64_t seed) {
  const UnitTable table(space);
  for (const std::string& key : wanted) {
    if (table.keys().count(key) == 0) {
      throw Error(ErrorCode::not_found,
                  fmt::format("no sub-network of space \"{}\" has the unit \"{}\"", space.name(), key));
    }
  }
  Rng rng = Rng::stream(seed, "profile.probes");
  std::set<std::string> left = wanted;
  std::vector<SubnetConfig> probes;
  for (std::size_t f = 0; f < table.frames().size(); ++f) {
    const auto still_wanted = [&] {
      const auto& fixed = table.fixed(f);
      if (std::any_of(fixed.begin(), fixed.end(), [&](const auto& key) { return left.count(key) != 0; }))
        return true;
      for (int b = 0; b < space.block_count(); ++b) {
        for (std::size_t i = 0; i < table.choices(b).size(); ++i) {
          if (left.count(table.key(f, b, i)) != 0) return true;
        }
      }
      return false;
    };
    while (still_wanted()) {
      SubnetConfig config = space.largest();
      config.r = table.frames()[f].r;
      config.w = table.frames()[f].w;
      for (int b = 0; b < space.block_count(); ++b) {
        std::vector<std::size_t> open;
        for (std::size_t i = 0; i < table.choices(b).size(); ++i) {
          if (left.count(table.key(f, b, i)) != 0) open.push_back(i);
        }
        const std::size_t pick =
            open.empty() ? rng.below(table.choices(b).size()) : open[rng.below(open.size())];
        config.e[static_cast<std::size_t>(b)] = table.choices(b)[pick].expand;
        config.k[static_cast<std::size_t>(b)] = table.choices(b)[pick].kernel;
        left.erase(table.key(f, b, pick));
      }
      for (const std::string& key : table.fixed(f)) left.erase(key);
      probes.push_back(space.canonical(std::move(config)));
    }
  }
  while (probes.size() < at_least) probes.push_back(space.sample(rng));
  return probes;
}

}  // namespace dsn

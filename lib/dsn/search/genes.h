// SPDX-License-Identifier: Apache-2.0
// A search space as rows of small numbers, for looking at very many sub-networks.
//
// A gene is one choice; its value is an index into the choice's allowed values in ascending order: the
// resolution, each stage's depth, each block's expand ratio and kernel, widths and stem depth where they are
// elastic. Rows of one space have one length and follow each other in memory. Genes of blocks that a row's
// depths leave out are kept, but mean nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "dsn/core/random.h"
#include "dsn/space/network.h"

namespace dsn {

using Gene = std::uint8_t;

// Immutable; const members are thread-safe. Refers to the space it was made of.
class GeneSpace {
 public:
  // `resolutions`: those of the space to choose from, ascending; empty: all. Throws Error{bad_usage} for one
  // that the space does not have.
  explicit GeneSpace(const SearchSpace& space, std::vector<int> resolutions = {});

  [[nodiscard]] const SearchSpace& space() const noexcept { return space_; }
  [[nodiscard]] const std::vector<int>& resolutions() const noexcept { return resolutions_; }
  [[nodiscard]] std::size_t size() const noexcept { return options_.size(); }  // genes of a row
  [[nodiscard]] int options(std::size_t gene) const noexcept { return options_[gene]; }

  static constexpr std::size_t kResolution = 0;
  [[nodiscard]] std::size_t depth_gene(int stage) const noexcept {
    return 1 + static_cast<std::size_t>(stage);
  }
  [[nodiscard]] std::size_t expand_gene(int block) const noexcept {
    return first_block_gene_ + 2 * static_cast<std::size_t>(block);
  }
  [[nodiscard]] std::size_t kernel_gene(int block) const noexcept { return expand_gene(block) + 1; }

  // visit(block) for each block that `row` runs, in order.
  template <typename Visit>
  void each_block(const Gene* row, Visit visit) const {
    for (int s = 0; s < space_.stage_count(); ++s) {
      const int first = space_.first_block(s);
      const int depth = space_.stages()[static_cast<std::size_t>(s)].depth[row[depth_gene(s)]];
      for (int b = first; b < first + depth; ++b) visit(b);
    }
  }

  // Sets the genes that mean nothing to 0: equal sub-networks are then equal rows.
  void canonical(Gene* row) const noexcept;
  [[nodiscard]] SubnetConfig config(const Gene* row) const;  // canonical
  // Throws Error{bad_usage} when its resolution is not among resolutions(), and as SearchSpace::validate().
  void write(const SubnetConfig& config, Gene* row) const;
  // Each gene uniform, those that mean nothing, too.
  void draw(Rng& rng, Gene* row) const noexcept;

 private:
  const SearchSpace& space_;
  std::vector<int> resolutions_, options_;
  std::size_t first_block_gene_ = 0, first_width_gene_ = 0;
};

// One number per row. Members are thread-safe unless the maker says otherwise.
class RowFunction {
 public:
  virtual ~RowFunction() = default;
  // out[i]: of row i of `count`.
  virtual void values(const Gene* rows, std::size_t count, double* out) const = 0;
};

// The same from a function of configurations, one by one; as thread-safe as that is. Refers to `genes`.
[[nodiscard]] std::unique_ptr<RowFunction> per_config(const GeneSpace& genes,
                                                      std::function<double(const SubnetConfig&)> value);

// Cost of a unit of networks of an input resolution.
using UnitCost = std::function<double(const Unit& unit, int resolution)>;

// A cost that is a sum over a network's units, each of a cost of its own, scaled and shifted: LUT latency,
// energy, MACs, parameters; or the largest of them: memory. Tables are made once; a row then costs an
// addition per block.
class UnitSums : public RowFunction {
 public:
  struct Options {
    double scale = 1, offset = 0;  // value = scale * sum + offset
    bool largest = false;          // instead of the sum; costs are 0 or more
  };
  // Throws what `cost` throws, and Error{unsupported} for a space with elastic width or stem, where a
  // unit's shape depends on more than its block's own choices.
  UnitSums(const GeneSpace& genes, const UnitCost& cost, Options options);
  UnitSums(const GeneSpace& genes, const UnitCost& cost) : UnitSums(genes, cost, Options()) {}

  void values(const Gene* rows, std::size_t count, double* out) const override;

 private:
  void add(double& to, double cost) const noexcept;

  const GeneSpace& genes_;
  Options options_;
  std::size_t expands_ = 0, kernels_ = 0, blocks_ = 0;
  std::vector<double> fixed_;  // [resolutions]: stem, first block, head
  std::vector<double> table_;  // [resolutions][blocks][expands_][kernels_]
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/genes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "dsn/core/error.h"

namespace dsn {
namespace {

template <typename T>
Gene index_of(const std::vector<T>& values, T value) {
  return static_cast<Gene>(std::find(values.begin(), values.end(), value) - values.begin());
}

class PerConfig : public RowFunction {
 public:
  PerConfig(const GeneSpace& genes, std::function<double(const SubnetConfig&)> value)
      : genes_(genes), value_(std::move(value)) {}
  void values(const Gene* rows, std::size_t count, double* out) const override {
    for (std::size_t i = 0; i < count; ++i) out[i] = value_(genes_.config(rows + i * genes_.size()));
  }

 private:
  const GeneSpace& genes_;
  std::function<double(const SubnetConfig&)> value_;
};

}  // namespace

GeneSpace::GeneSpace(const SearchSpace& space, std::vector<int> resolutions)
    : space_(space), resolutions_(resolutions.empty() ? space.resolutions() : std::move(resolutions)) {
  for (const int r : resolutions_) {
    if (std::find(space.resolutions().begin(), space.resolutions().end(), r) != space.resolutions().end())
      continue;
    throw Error(ErrorCode::bad_usage, fmt::format("resolution {}: not one of space \"{}\", which has {}", r,
                                                  space.name(), fmt::join(space.resolutions(), ", ")));
  }
  const auto add = [&](std::size_t options) { options_.push_back(static_cast<int>(options)); };
  add(resolutions_.size());
  for (const StageSpace& stage : space.stages()) add(stage.depth.size());
  first_block_gene_ = options_.size();
  for (const StageSpace& stage : space.stages()) {
    for (int i = 0; i < stage.depth.back(); ++i) {
      add(stage.expand.size());
      add(stage.kernel.size());
    }
  }
  first_width_gene_ = options_.size();
  for (int i = 0; i < space.width_count(); ++i) add(space.width().size());
  if (!space.stem_depth().empty()) add(space.stem_depth().size());
}

void GeneSpace::canonical(Gene* row) const noexcept {
  for (int s = 0; s < space_.stage_count(); ++s) {
    const StageSpace& stage = space_.stages()[static_cast<std::size_t>(s)];
    const int first = space_.first_block(s);
    for (int b = first + stage.depth[row[depth_gene(s)]]; b < first + stage.depth.back(); ++b)
      row[expand_gene(b)] = row[kernel_gene(b)] = 0;
  }
}

SubnetConfig GeneSpace::config(const Gene* row) const {
  SubnetConfig config;
  config.r = resolutions_[row[kResolution]];
  for (int s = 0; s < space_.stage_count(); ++s) {
    const StageSpace& stage = space_.stages()[static_cast<std::size_t>(s)];
    config.d.push_back(stage.depth[row[depth_gene(s)]]);
    for (int i = 0; i < stage.depth.back(); ++i) {
      const int block = space_.first_block(s) + i;
      config.e.push_back(stage.expand[row[expand_gene(block)]]);
      config.k.push_back(stage.kernel[row[kernel_gene(block)]]);
    }
  }
  const auto widths = static_cast<std::size_t>(space_.width_count());
  for (std::size_t i = 0; i < widths; ++i) config.w.push_back(space_.width()[row[first_width_gene_ + i]]);
  if (!space_.stem_depth().empty()) config.s = space_.stem_depth()[row[first_width_gene_ + widths]];
  return space_.canonical(std::move(config));
}

void GeneSpace::write(const SubnetConfig& config, Gene* row) const {
  space_.validate(config);
  row[kResolution] = index_of(resolutions_, config.r);
  if (row[kResolution] >= resolutions_.size()) {
    throw Error(ErrorCode::bad_usage, fmt::format("resolution {}: found in a sub-network, expected one of {}",
                                                  config.r, fmt::join(resolutions_, ", ")));
  }
  for (int s = 0; s < space_.stage_count(); ++s) {
    const StageSpace& stage = space_.stages()[static_cast<std::size_t>(s)];
    row[depth_gene(s)] = index_of(stage.depth, config.d[static_cast<std::size_t>(s)]);
    for (int i = 0; i < stage.depth.back(); ++i) {
      const int block = space_.first_block(s) + i;
      row[expand_gene(block)] = index_of(stage.expand, config.e[static_cast<std::size_t>(block)]);
      row[kernel_gene(block)] = index_of(stage.kernel, config.k[static_cast<std::size_t>(block)]);
    }
  }
  for (std::size_t i = 0; i < config.w.size(); ++i)
    row[first_width_gene_ + i] = index_of(space_.width(), config.w[i]);
  if (!space_.stem_depth().empty())
    row[first_width_gene_ + config.w.size()] = index_of(space_.stem_depth(), config.s);
  // What absent blocks carry is anything: it may not even be one of their choices.
  canonical(row);
}

void GeneSpace::draw(Rng& rng, Gene* row) const noexcept {
  for (std::size_t g = 0; g < size(); ++g)
    row[g] = static_cast<Gene>(rng.below(static_cast<std::uint64_t>(options_[g])));
}

std::unique_ptr<RowFunction> per_config(const GeneSpace& genes,
                                        std::function<double(const SubnetConfig&)> value) {
  return std::make_unique<PerConfig>(genes, std::move(value));
}

UnitSums::UnitSums(const GeneSpace& genes, const UnitCost& cost, Options options)
    : genes_(genes), options_(options) {
  const SearchSpace& space = genes.space();
  if (space.width_count() > 0 || !space.stem_depth().empty()) {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("space \"{}\" has elastic width or stem: its costs are no sums of independent blocks",
                    space.name()));
  }
  const MostChoices most = most_choices(space);
  expands_ = most.expand;
  kernels_ = most.kernel;
  blocks_ = static_cast<std::size_t>(space.block_count());
  fixed_.assign(genes.resolutions().size(), 0);
  table_.assign(fixed_.size() * blocks_ * expands_ * kernels_, 0);
  for (std::size_t r = 0; r < fixed_.size(); ++r) {
    for (std::size_t e = 0; e < expands_; ++e) {
      for (std::size_t k = 0; k < kernels_; ++k) {
        const int resolution = genes.resolutions()[r];
        const SubnetConfig config = uniform_config(space, resolution, e, k);
        for (const Unit& unit : make_network(space, config).units) {
          if (unit.block >= 0) {
            const auto block = static_cast<std::size_t>(unit.block);
            table_[((r * blocks_ + block) * expands_ + e) * kernels_ + k] = cost(unit, resolution);
          } else if (e == 0 && k == 0) {
            add(fixed_[r], cost(unit, resolution));
          }
        }
      }
    }
  }
}

void UnitSums::add(double& to, double cost) const noexcept {
  to = options_.largest ? std::max(to, cost) : to + cost;
}

void UnitSums::values(const Gene* rows, std::size_t count, double* out) const {
  const std::size_t per_block = expands_ * kernels_;
  for (std::size_t i = 0; i < count; ++i) {
    const Gene* row = rows + i * genes_.size();
    const std::size_t r = row[GeneSpace::kResolution];
    const double* table = table_.data() + r * blocks_ * per_block;
    double sum = fixed_[r];
    genes_.each_block(row, [&](int block) {
      add(sum, table[static_cast<std::size_t>(block) * per_block + row[genes_.expand_gene(block)] * kernels_ +
                     row[genes_.kernel_gene(block)]]);
    });
    out[i] = options_.scale * sum + options_.offset;
  }
}

}  // namespace dsn

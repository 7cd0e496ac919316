// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/levels.h"

#include <fmt/format.h>

#include <utility>

#include "dsn/core/error.h"

namespace dsn {

std::vector<LevelSpec> level_specs(const Family& family, const std::optional<TensorFile>& statistics,
                                   const std::string& where) {
  std::vector<LevelSpec> levels;
  for (const Level& level : family.levels) {
    LevelSpec spec{level.config, {}};
    if (!level.bn_prefix.empty()) {
      if (!statistics) {
        throw Error(
            ErrorCode::bad_input,
            fmt::format("{}: level {} has batch-norm statistics of its own, but there is no file of them",
                        where, level.id));
      }
      spec.bn = load_bn_stats(*statistics, level.bn_prefix);
    }
    levels.push_back(std::move(spec));
  }
  return levels;
}

std::vector<LevelSpec> load_level_specs(const Family& family, const fs::path& family_file) {
  std::optional<TensorFile> statistics;
  if (!family.bn_file.empty()) statistics = TensorFile::open(family_file.parent_path() / family.bn_file);
  return level_specs(family, statistics, family_file.string());
}

}  // namespace dsn

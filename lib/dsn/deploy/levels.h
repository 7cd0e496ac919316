// SPDX-License-Identifier: Apache-2.0
// From a family's levels to what an executor prepares. No LibTorch.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsn/engine/executor.h"
#include "dsn/search/family.h"

namespace dsn {

// Configuration and batch-norm statistics of each level, in family order. statistics: the family's bn_file; a
// level without a prefix in it gets none, which Family::calibration_doubts() tells of. Throws
// Error{bad_input} naming `where` and the level when a level's statistics are not there.
[[nodiscard]] std::vector<LevelSpec> level_specs(const Family& family,
                                                 const std::optional<TensorFile>& statistics,
                                                 const std::string& where);

// The same for a family file, with the bn_file beside it.
[[nodiscard]] std::vector<LevelSpec> load_level_specs(const Family& family, const fs::path& family_file);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Names of Once-for-All's tensors and of dsn's. Not installed: see ofa_import.h.
#pragma once

#include <optional>
#include <string>

#include "dsn/space/search_space.h"

namespace dsn {

// Counts of training steps that batch norm keeps; dsn has no use for them.
[[nodiscard]] bool is_ofa_counter(const std::string& name);

// dsn's name (supernet.h) of Once-for-All's tensor `name` in `space`; nothing for a name that it does not
// use.
[[nodiscard]] std::optional<std::string> ofa_to_dsn(std::string name, const SearchSpace& space);

}  // namespace dsn

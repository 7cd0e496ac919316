// SPDX-License-Identifier: Apache-2.0
// Labelled images for the subcommands that evaluate.
#pragma once

#include <memory>
#include <string>

#include "dsn/data/dataset.h"
#include "dsn/space/search_space.h"

namespace dsn::cli {

// open_dataset(), refused with Error{mismatch} unless it has as many classes as the super-network.
[[nodiscard]] std::unique_ptr<Dataset> open_labelled(const std::string& spec, Split split,
                                                     std::size_t val_count, const SearchSpace& space);

}  // namespace dsn::cli

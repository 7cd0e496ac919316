// SPDX-License-Identifier: Apache-2.0
#include "cli/labelled.h"

#include <fmt/format.h>

#include "dsn/core/error.h"

namespace dsn::cli {

std::unique_ptr<Dataset> open_labelled(const std::string& spec, Split split, std::size_t val_count,
                                       const SearchSpace& space) {
  auto data = open_dataset(spec, split, val_count);
  if (data->classes() != space.classes()) {
    throw Error(
        ErrorCode::mismatch,
        fmt::format("{} has {} classes, the super-network {}", spec, data->classes(), space.classes()),
        "give the --data that it was trained on");
  }
  return data;
}

}  // namespace dsn::cli

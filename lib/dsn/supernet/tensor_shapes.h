// SPDX-License-Identifier: Apache-2.0
// Names and shapes of a super-network's tensors, for readers that have no LibTorch. supernet.h says what each
// is; a test holds this list and Supernet's own together.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dsn/space/search_space.h"

namespace dsn {

// Parameters and running statistics of `space`'s super-network, all float32.
[[nodiscard]] std::map<std::string, std::vector<std::int64_t>> tensor_shapes(const SearchSpace& space);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Probe sub-networks: a small set that together runs every unit whose cost a LUT needs.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "dsn/space/network.h"

namespace dsn {

// Keys of every unit that any sub-network of `space` can have.
[[nodiscard]] std::set<std::string> unit_keys(const SearchSpace& space);

// Sub-networks that together have every key of `wanted`, found greedily: each block of the next one takes a
// choice whose key nobody has yet, and a random one where all are taken, so that units are also seen in
// varied company. At least `at_least` sub-networks: further ones are random. Deterministic by `seed`;
// canonical. Throws Error{not_found} naming a wanted key that the space does not have.
[[nodiscard]] std::vector<SubnetConfig> cover_units(const SearchSpace& space,
                                                    const std::set<std::string>& wanted, std::size_t at_least,
                                                    std::uint64_t seed);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Latency over frequency, for dsn profile.
#pragma once

#include <string>
#include <vector>

#include "dsn/profile/lut.h"

namespace dsn::cli {

// `count` of a cluster's operating points, from the lowest to the highest, evenly spread; all when there are
// no more. Precondition: count >= 2.
[[nodiscard]] std::vector<std::size_t> spread_opps(std::size_t all, std::size_t count);

// T(f) = A/f + B for every sub-network and thread count measured at three frequencies or more: one line per
// thread count with the largest error of a frequency that was left out of its own fit. Empty when there is
// none.
[[nodiscard]] std::string fit_text(const Lut& lut, const std::string& cluster);

}  // namespace dsn::cli

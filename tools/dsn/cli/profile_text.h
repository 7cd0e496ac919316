// SPDX-License-Identifier: Apache-2.0
// What dsn profile shows of a look-up table and of the run that made it.
#pragma once

#include <string>
#include <vector>

#include "dsn/profile/measure.h"
#include "dsn/profile/repeatability.h"

namespace dsn::cli {

// `levels`: the family's sub-networks, which are called by their numbers. Each is empty when there is nothing
// to say.

// Sums of units against end-to-end measurements; sub-networks that no fit saw are told as "held out".
[[nodiscard]] std::string checks_table(const std::vector<PointReport>& reports, const SearchSpace& space,
                                       const std::vector<SubnetConfig>& levels);
// Levels measured end to end where there are no units to compare with.
[[nodiscard]] std::string levels_table(const Lut& lut, const SearchSpace& space,
                                       const std::vector<SubnetConfig>& levels);
// Levels beside other work.
[[nodiscard]] std::string loads_table(const Lut& lut, const SearchSpace& space,
                                      const std::vector<SubnetConfig>& levels);
// One line per point, and what the machine did to it.
[[nodiscard]] std::string profile_summary(const std::vector<PointReport>& reports, const Lut& lut);
[[nodiscard]] std::string difference_text(const std::vector<LutDifference>& differences,
                                          const std::string& file);

}  // namespace dsn::cli

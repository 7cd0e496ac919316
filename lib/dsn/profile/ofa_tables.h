// SPDX-License-Identifier: Apache-2.0
// Published latency tables of Once-for-All's MobileNetV3 as a look-up table.
//
// A file has "tables": by input resolution, then by block signature
// ("expanded_conv-input:80x80x24-output:40x40x32-expand:72-kernel:3-stride:2-idskip:0-se:0-hs:0"), a row of
// "mean" and "std" in milliseconds and "count". Once-for-All's latency tools write these rows;
// UoS-EEC/DynamicOFA publishes them for a Jetson Xavier NX.
#pragma once

#include <string>
#include <vector>

#include "dsn/profile/lut.h"

namespace dsn {

struct OfaTables {
  Lut lut;  // units alone, at one point, each published
  std::vector<std::string>
      missing;  // "r128: no table"; "r160: expanded_conv-input:..." of units without a row
  std::vector<std::string> unused;  // tables and rows that are of no unit of the space
  std::string what;                 // the file's own words; may be empty
};

// Units of `space` that have a row; nothing is made up for those that have none. A unit that is two rows (the
// pool and the feature mix) is their sum. Throws Error{bad_input} naming file and path, and when no unit at
// all has a row (another space or width). `point.cluster` is one of `platform`.
[[nodiscard]] OfaTables import_ofa_tables(const Json& document, const std::string& file,
                                          const SearchSpace& space, const Platform& platform,
                                          const OperatingPoint& point);

// A platform of one cluster, "device", of which nothing else is known: published tables rarely say more. Its
// kind is "gpu", which here only means that no CPU numbers are known.
[[nodiscard]] Platform bare_platform(const std::string& name, const std::string& source);

}  // namespace dsn

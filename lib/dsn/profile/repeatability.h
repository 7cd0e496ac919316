// SPDX-License-Identifier: Apache-2.0
// Whether two look-up tables of one machine say the same.
#pragma once

#include <span>
#include <vector>

#include "dsn/profile/lut.h"

namespace dsn {

// End-to-end latencies of `now` against those of `before` at one point both have.
struct LutDifference {
  OperatingPoint point;
  int levels = 0;          // sub-networks that both measured there
  double median = 0;       // of now / before - 1
  double largest = 0;      // the one furthest from 0, with its sign
  double speed_ratio = 0;  // of the machine's own speed, now / before; 0: one of them did not look
};

// Of the sub-networks of `configs` (canonical; empty: all). Points that share none are left out. Throws
// Error{mismatch} when the tables are of different spaces, platforms or engines.
[[nodiscard]] std::vector<LutDifference> compare_luts(const Lut& before, const Lut& now,
                                                      std::span<const SubnetConfig> configs = {});
[[nodiscard]] Json to_json(const std::vector<LutDifference>& differences);

}  // namespace dsn

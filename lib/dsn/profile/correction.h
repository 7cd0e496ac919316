// SPDX-License-Identifier: Apache-2.0
// How well sums of units predict whole sub-networks, and the correction between the two.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "dsn/profile/lut.h"

namespace dsn {

struct CorrectionFit {
  Lut::Correction correction;
  std::vector<double> held_out_s;  // each sub-network predicted by a fit to all others
  double kendall_tau = 0;          // of held_out_s against the measurements
};

// Fits measured = scale * sum + offset by least squares on relative errors. The offset is 0 with fewer than
// three sub-networks and where a free one would predict nonsense for the smallest (less than half of what was
// measured). sums: seconds, above 0, of the same length as measured.
[[nodiscard]] CorrectionFit fit_correction(std::span<const double> sums, std::span<const double> measured);

// The factor by which everything is slower (above 1) or faster than predicted: the median of measured over
// predicted, where all are within `tolerance` of it and it is further than that from 1; nothing otherwise.
// What is off by one factor throughout is the speed of the machine, not the prediction.
[[nodiscard]] std::optional<double> common_drift(std::span<const double> predicted,
                                                 std::span<const double> measured, double tolerance = 0.05);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Samples of one LUT entry while it is being measured. Inner header of profile.
#pragma once

#include <vector>

#include "dsn/profile/measure.h"

namespace dsn {

// Frequencies read beside an entry; 0 (unreadable) is left out.
struct FrequencySpan {
  double lowest_hz = 0, highest_hz = 0;
  void add(double freq_hz) noexcept;
  void add(const FrequencySpan& other) noexcept;
  // "frequency read 1.20 GHz to 1.50 GHz"; empty when all readings are within `tolerance` of `expected_hz`
  // (0: of each other).
  [[nodiscard]] std::string note(double expected_hz, double tolerance) const;
};

struct Series {
  std::vector<double> samples;
  double total_s = 0;
  bool finished = false, settled = false;
  FrequencySpan frequency;

  void add(double seconds);
  // Decides whether the entry has ended.
  void judge(const ProfileOptions& options);
  // Relative standard error of the p50.
  [[nodiscard]] double rel_error() const;
};

[[nodiscard]] LutEntry make_entry(const Series& series, const OperatingPoint& point,
                                  const ProfileOptions& options);

}  // namespace dsn

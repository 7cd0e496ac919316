// SPDX-License-Identifier: Apache-2.0
// Finding the kernel's energy and power sensors. Inner header of platform: meter.h has what they are for.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dsn/platform/meter.h"

namespace dsn {

// One file, or the product of two (voltage and current), in SI units after `scale`; or what `read` gives.
struct MeterTerm {
  std::string file, times;  // times: empty, or the second factor
  double scale = 1;
  double range_j = 0;                           // where a counter starts again at 0; 0: never
  std::function<int(double& value)> read = {};  // in place of a file, which then only names it; 0 or errno
};

// A meter is the sum of its terms.
struct MeterSource {
  MeterInfo info;
  std::vector<MeterTerm> terms;
  std::optional<Error> obstacle;
};

// In the order of find_meters().
[[nodiscard]] std::vector<MeterSource> find_sources(const fs::path& root);

// Value of a term in joules or watts. Returns 0 or errno. No allocation.
[[nodiscard]] int read_term(const MeterTerm& term, double& value) noexcept;

// What an errno of a sensor's file means and how to mend it.
[[nodiscard]] Error sensor_error(int error, const std::string& file);

}  // namespace dsn

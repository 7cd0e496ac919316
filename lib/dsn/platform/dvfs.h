// SPDX-License-Identifier: Apache-2.0
// Setting CPU frequencies through cpufreq, and putting them back. Kernel ABI: Documentation/admin-guide/pm/cpufreq.rst.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dsn/platform/platform.h"

namespace dsn {

// Frequencies of a platform's clusters: the seam between dsn and sysfs (or a fake).
class FrequencyControl {
 public:
  virtual ~FrequencyControl() = default;
  // Moves cluster `cluster` to its OPP `opp`. Returns the frequency read back. Throws Error{permission | unsupported | io}, naming the
  // file, for EACCES, EROFS, ENOENT, EBUSY, EINVAL each with its own advice.
  virtual double set_opp(std::size_t cluster, std::size_t opp) = 0;
  // Present frequency in hertz; 0 when it cannot be read.
  [[nodiscard]] virtual double frequency(std::size_t cluster) const noexcept = 0;
  // Whether set_opp() can work on this cluster (knob present and writable), checked without writing.
  [[nodiscard]] virtual bool can_set(std::size_t cluster) const noexcept = 0;
  // Restores everything that set_opp() changed. Idempotent; also done on destruction.
  virtual void restore() noexcept = 0;
};

// cpufreq under `root`. Saves governor, minimum, maximum and set speed of a policy before its first write. Uses governor
// `userspace` with scaling_setspeed where there is one, else minimum = maximum.
[[nodiscard]] std::unique_ptr<FrequencyControl> make_cpufreq_control(const Platform& platform, const fs::path& root = {});

}  // namespace dsn

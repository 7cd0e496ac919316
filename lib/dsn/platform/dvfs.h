// SPDX-License-Identifier: Apache-2.0
// Setting CPU frequencies through cpufreq, and putting them back. Kernel ABI:
// Documentation/admin-guide/pm/cpufreq.rst.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dsn/platform/platform.h"

namespace dsn {

// Frequencies of a platform's clusters: the seam between dsn and sysfs (or a fake). thread-compatible.
class FrequencyControl {
 public:
  virtual ~FrequencyControl() = default;
  // Moves cluster `cluster` to its OPP `opp`. Returns the frequency read back; it differs from the OPP's when
  // a limit (power mode, thermal cap) holds it. Throws Error{permission | unsupported | io}, naming the file,
  // for EACCES, EROFS, ENOENT, EBUSY, EINVAL each with its own advice; what was changed until then stays so
  // until restore().
  virtual double set_opp(std::size_t cluster, std::size_t opp) = 0;
  // Present frequency in hertz; 0 when it cannot be read.
  [[nodiscard]] virtual double frequency(std::size_t cluster) const noexcept = 0;
  // Whether set_opp() can work on this cluster (knob present and writable), checked without writing.
  [[nodiscard]] virtual bool can_set(std::size_t cluster) const noexcept = 0;
  // Restores everything that set_opp() changed. Idempotent; also done on destruction.
  virtual void restore() noexcept = 0;
};

// cpufreq under `root`. Saves governor, minimum, maximum and set speed of a policy before its first write.
// Uses governor `userspace` with scaling_setspeed where there is one (one write per policy and change), else
// minimum = maximum; there the limits are what is read back, and frequency() follows when a CPU of the policy
// next does something. Limits found in place are kept: an OPP outside them gives the nearest one inside. A
// cluster of several policies moves them all and leaves out those whose CPUs are offline, as long as one is
// online. A frequency read back is the lowest of its policies. Setting a GPU (devfreq) is Error{unsupported}.
// The first set_opp() of a policy may take tens of milliseconds (a governor is exchanged), later ones well
// under one.
[[nodiscard]] std::unique_ptr<FrequencyControl> make_cpufreq_control(const Platform& platform,
                                                                     const fs::path& root = {});

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Setting frequencies of CPUs (cpufreq) and GPUs (devfreq), and putting them back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/platform/platform.h"

namespace dsn {

// What set_opp() did to one cluster so far. A transition takes from before the write until the new value was
// read back; the first one also exchanges the governor and is kept apart.
struct Transitions {
  std::int64_t count = 0;
  std::int64_t missed = 0;  // ended at another frequency than was asked for: a cap, or a driver that rounds
  double first_s = 0, mean_s = 0, longest_s = 0;  // mean and longest without the first; 0: there were none
  double requested_hz = 0, achieved_hz = 0;       // of the last one
};

// Frequencies of a platform's clusters: the seam between dsn and sysfs (or a fake). thread-compatible, but
// for restore() and restore_for_good(), which are thread-safe.
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
  // Why can_set() is false: what set_opp() would throw. Nothing if it is true.
  [[nodiscard]] virtual std::optional<Error> obstacle(std::size_t /*cluster*/) const { return std::nullopt; }
  // Whether what set_opp() set last is still in place: suspend and CPUs that went offline undo it.
  [[nodiscard]] virtual bool holds(std::size_t /*cluster*/) const noexcept { return true; }
  [[nodiscard]] virtual Transitions transitions(std::size_t /*cluster*/) const noexcept { return {}; }
  // Restores everything that set_opp() changed. Idempotent; also done on destruction.
  virtual void restore() noexcept = 0;
  // The same, and set_opp() refuses from then on: for a process that is about to end.
  virtual void restore_for_good() noexcept { restore(); }
  // What the last restore() could not put back, one line each with what to do about it.
  [[nodiscard]] virtual std::vector<std::string> not_restored() const { return {}; }
};

struct FrequencyControlOptions {
  fs::path root;  // "" is the real file system, else a folder that looks like one
  // Where what was found is written before anything is changed (default_frequency_state() for a program, see
  // frequency_state.h); removed by a complete restore(). What a killed process left there is put back first.
  // Empty: no file, and SIGKILL leaves frequencies as they are.
  fs::path state_file;
};

// CPU clusters through cpufreq, GPUs through devfreq. Saves governor (with its tunables), minimum, maximum
// and set speed of every knob of the platform before the first write. Uses governor `userspace` where there
// is one (one write per knob and change), else minimum = maximum; there the limits are what is read back, and
// frequency() follows when the device next does something. Limits found in place are kept: an OPP outside
// them gives the nearest one inside. A cluster of several policies moves them all and leaves out those whose
// CPUs are offline, as long as one is online. A frequency read back is the lowest of its policies. The first
// set_opp() of a knob may take tens of milliseconds (a governor is exchanged), later ones well under one.
[[nodiscard]] std::unique_ptr<FrequencyControl> make_frequency_control(
    const Platform& platform, const FrequencyControlOptions& options = {});

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// One frequency that the kernel lets us set: a cpufreq policy or a devfreq device. Kernel ABI:
// Documentation/admin-guide/pm/cpufreq.rst, Documentation/ABI/testing/sysfs-class-devfreq. Inner header of
// platform.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "dsn/core/file.h"
#include "dsn/platform/sysfs.h"

namespace dsn {

// What was found at a knob before it was moved, in hertz.
struct KnobSettings {
  sysfs::KnobKind kind = sysfs::KnobKind::cpufreq;
  std::string name;  // "policy0", "17000000.gv11b"
  std::string governor;
  std::int64_t min_hz = 0, max_hz = 0;  // max 0: no limit (devfreq)
  std::int64_t set_hz = 0;              // of the userspace governor; 0: another one was in place
  bool moves_limits = false;            // minimum and maximum are what we move, or the governor
  // The governor's tunables, relative to /sys, with their values: the kernel forgets them with the governor.
  std::vector<std::pair<std::string, std::string>> tunables;
};

// An errno and the file it came from. error 0: all went well.
struct KnobOutcome {
  int error = 0;
  std::string file;
  [[nodiscard]] bool ok() const noexcept { return error == 0; }
};

// thread-compatible.
class FrequencyKnob {
 public:
  FrequencyKnob(fs::path root, sysfs::KnobKind kind, std::string name);

  [[nodiscard]] const std::string& name() const noexcept { return was_.name; }
  [[nodiscard]] sysfs::KnobKind kind() const noexcept { return was_.kind; }

  // Reads what is in place and chooses how to move it: by governor `userspace` (one write per change, no
  // limit of the user is touched), else by its limits. Writes nothing.
  [[nodiscard]] KnobOutcome save();
  // Takes over what another process found and did not put back.
  void adopt(const KnobSettings& found);
  [[nodiscard]] bool saved() const noexcept { return saved_; }
  [[nodiscard]] const KnobSettings& found() const noexcept { return was_; }

  // Moves to `hz` and reads back, with a bounded retry, what it became. Precondition: saved(). before_limits
  // runs before the first write of limits where the governor turned out not to work.
  [[nodiscard]] KnobOutcome set(std::int64_t hz, std::int64_t& achieved_hz,
                                const std::function<void()>& before_limits);
  // Puts back what was moved. After an error what is left to do is kept: call it again.
  [[nodiscard]] KnobOutcome restore();

  // Hertz; 0 when it cannot be read.
  [[nodiscard]] std::int64_t frequency() const noexcept;
  // What keeps this user from moving it, an error of 0 if nothing does. Writes nothing.
  [[nodiscard]] KnobOutcome obstacle() const;
  [[nodiscard]] bool writable() const noexcept { return first_obstacle().first == 0; }
  // Whether what set() wrote last is still in place (suspend and CPUs that went offline undo it).
  [[nodiscard]] bool holds() const noexcept;

 private:
  [[nodiscard]] std::string file(const char* attribute) const;
  [[nodiscard]] KnobOutcome take_governor();
  [[nodiscard]] KnobOutcome set_speed(std::int64_t hz, std::int64_t& achieved_hz);
  [[nodiscard]] KnobOutcome pin(std::int64_t hz, std::int64_t& achieved_hz);
  [[nodiscard]] KnobOutcome write_limits(std::int64_t low_hz, std::int64_t high_hz);
  [[nodiscard]] KnobOutcome restore_governor();
  [[nodiscard]] int read_hz(const std::string& from, std::int64_t& hz) const noexcept;
  [[nodiscard]] int write_hz(const std::string& to, std::int64_t hz) const noexcept;
  [[nodiscard]] std::int64_t read_until(const std::string& from, std::int64_t wanted_hz, int tries,
                                        int pause_us) const;
  void save_tunables();
  [[nodiscard]] std::pair<int, const std::string*> first_obstacle() const noexcept;

  fs::path root_;
  KnobSettings was_;
  std::int64_t unit_;  // hertz of the kernel's unit
  std::string governor_, governors_, min_, max_, speed_, current_, hardware_;
  bool saved_ = false;
  bool took_governor_ = false, moved_speed_ = false, moved_limits_ = false;  // what restore() has to undo
  std::int64_t low_hz_ = 0, high_hz_ = 0;                                    // limits as last written
  std::int64_t held_hz_ = 0;                                                 // what set() got last
};

}  // namespace dsn

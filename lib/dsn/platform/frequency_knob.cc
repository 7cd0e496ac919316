// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/frequency_knob.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <thread>

namespace dsn {
namespace {

constexpr const char* kUserspace = "userspace";

// As the effective user: access(2) would ask for the real one. Returns 0 or errno.
int write_obstacle(const std::string& file) noexcept {
  return ::faccessat(AT_FDCWD, file.c_str(), W_OK, AT_EACCESS) == 0 ? 0 : errno;
}

bool exists(const std::string& file) noexcept {
  return ::access(file.c_str(), F_OK) == 0;
}

bool lists(const std::string& words, const std::string& word) {
  return (" " + words + " ").find(" " + word + " ") != std::string::npos;
}

}  // namespace

FrequencyKnob::FrequencyKnob(fs::path root, sysfs::KnobKind kind, std::string name) : root_(std::move(root)) {
  was_.kind = kind;
  was_.name = std::move(name);
  const bool cpu = kind == sysfs::KnobKind::cpufreq;
  unit_ = cpu ? 1000 : 1;  // cpufreq speaks kilohertz, devfreq hertz
  governor_ = file(cpu ? "scaling_governor" : "governor");
  governors_ = file(cpu ? "scaling_available_governors" : "available_governors");
  min_ = file(cpu ? "scaling_min_freq" : "min_freq");
  max_ = file(cpu ? "scaling_max_freq" : "max_freq");
  speed_ = file(cpu ? "scaling_setspeed" : "userspace/set_freq");
  current_ = file(cpu ? "scaling_cur_freq" : "cur_freq");
  hardware_ = file(cpu ? "cpuinfo_cur_freq" : "target_freq");
}

std::string FrequencyKnob::file(const char* attribute) const {
  const bool cpu = was_.kind == sysfs::KnobKind::cpufreq;
  const char* const folder = cpu ? "sys/devices/system/cpu/cpufreq" : "sys/class/devfreq";
  return (sysfs::under(root_, folder) / was_.name / attribute).string();
}

int FrequencyKnob::read_hz(const std::string& from, std::int64_t& hz) const noexcept {
  const int error = sysfs::read_number(from, hz);
  // What no chip has is rubbish, not a frequency to be multiplied.
  if (error == 0 && (hz < 0 || hz > std::numeric_limits<std::int64_t>::max() / 1000)) return EINVAL;
  hz *= unit_;
  return error;
}

int FrequencyKnob::write_hz(const std::string& to, std::int64_t hz) const noexcept {
  return sysfs::write_number(to, hz / unit_);
}

// Reads until `from` says `wanted_hz`, at most `tries` times. The last value read, 0 if none could be.
std::int64_t FrequencyKnob::read_until(const std::string& from, std::int64_t wanted_hz, int tries,
                                       int pause_us) const {
  std::int64_t hz = 0;
  for (int i = 0; i < tries; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    if (read_hz(from, hz) != 0) hz = 0;
    if (hz == wanted_hz) break;
  }
  return hz;
}

KnobOutcome FrequencyKnob::save() {
  KnobSettings now = was_;
  now.set_hz = 0;
  now.tunables.clear();
  if (const int error = sysfs::read_text(governor_, now.governor); error != 0) return {error, governor_};
  if (const int error = read_hz(min_, now.min_hz); error != 0) return {error, min_};
  if (const int error = read_hz(max_, now.max_hz); error != 0) return {error, max_};
  std::string governors;
  if (sysfs::read_text(governors_, governors) != 0) governors.clear();
  const bool is_userspace = now.governor == kUserspace;
  // "<unsupported>" unless the governor is userspace already.
  if (is_userspace && read_hz(speed_, now.set_hz) != 0) now.set_hz = 0;
  // A devfreq device has the file only while the governor is in place.
  const bool settable = now.kind == sysfs::KnobKind::devfreq || exists(speed_);
  now.moves_limits = !settable || !(is_userspace || lists(governors, kUserspace));
  was_ = std::move(now);
  if (!is_userspace && !was_.moves_limits) save_tunables();
  low_hz_ = was_.min_hz;
  high_hz_ = was_.max_hz;
  saved_ = true;
  return {};
}

// Plain files in the governor's folder, which is the policy's own or, for drivers that share it, all
// policies'.
void FrequencyKnob::save_tunables() {
  if (was_.kind != sysfs::KnobKind::cpufreq) return;
  const std::string base = "sys/devices/system/cpu/cpufreq/";
  for (const std::string& folder : {base + was_.name + "/" + was_.governor, base + was_.governor}) {
    std::error_code error;
    for (fs::directory_iterator it(sysfs::under(root_, folder), error), end; !error && it != end;
         it.increment(error)) {
      std::string value;
      if (!it->is_regular_file(error) || write_obstacle(it->path().string()) != 0) continue;
      if (sysfs::read_text(it->path().string(), value) == 0)
        was_.tunables.emplace_back(folder + "/" + it->path().filename().string(), value);
    }
  }
  std::sort(was_.tunables.begin(), was_.tunables.end());
}

void FrequencyKnob::adopt(const KnobSettings& found) {
  was_ = found;
  saved_ = took_governor_ = moved_speed_ = true;
  moved_limits_ = found.moves_limits;
  if (read_hz(min_, low_hz_) != 0) low_hz_ = found.min_hz;
  if (read_hz(max_, high_hz_) != 0) high_hz_ = found.max_hz;
}

KnobOutcome FrequencyKnob::set(std::int64_t hz, std::int64_t& achieved_hz,
                               const std::function<void()>& before_limits) {
  held_hz_ = 0;
  KnobOutcome out;
  if (!was_.moves_limits) {
    out = set_speed(hz, achieved_hz);
    if (out.ok() && was_.moves_limits) {
      if (before_limits) before_limits();
    } else {
      if (out.ok()) held_hz_ = achieved_hz;
      return out;
    }
  }
  out = pin(hz, achieved_hz);
  if (out.ok()) held_hz_ = achieved_hz;
  return out;
}

// Switches to `userspace`. Sets moves_limits when this kernel does not, in which case it keeps the governor
// it had.
KnobOutcome FrequencyKnob::take_governor() {
  const int error = sysfs::write_text(governor_, kUserspace);
  if (error == EINVAL) {  // listed, but its module does not load
    was_.moves_limits = true;
    return {};
  }
  if (error != 0) return {error, governor_};
  took_governor_ = was_.governor != kUserspace;
  std::string now;
  if (const int again = sysfs::read_text(governor_, now); again != 0) return {again, governor_};
  was_.moves_limits = now != kUserspace;  // some vendor kernels accept the write and change nothing
  return {};
}

KnobOutcome FrequencyKnob::set_speed(std::int64_t hz, std::int64_t& achieved_hz) {
  if (!took_governor_ && was_.governor != kUserspace) {
    if (KnobOutcome out = take_governor(); !out.ok() || was_.moves_limits) return out;
  }
  moved_speed_ = true;
  int error = write_hz(speed_, hz);
  if (error == EINVAL || (error == ENOENT && was_.kind == sysfs::KnobKind::devfreq)) {
    // Somebody took the governor back meanwhile.
    if (KnobOutcome out = take_governor(); !out.ok() || was_.moves_limits) return out;
    error = write_hz(speed_, hz);
  }
  if (error != 0) return {error, speed_};
  // The driver's result of the write is not told. cpufreq's set speed reads as the frequency that the driver
  // was given, after limits and rounding (scaling_cur_freq may be a noisy measurement); devfreq's as what was
  // asked for.
  const bool cpu = was_.kind == sysfs::KnobKind::cpufreq;
  achieved_hz = read_until(cpu ? speed_ : current_, hz / unit_ * unit_, 4, 250);
  return {};
}

// Minimum = maximum = hz, inside the limits that were found.
KnobOutcome FrequencyKnob::pin(std::int64_t hz, std::int64_t& achieved_hz) {
  std::int64_t wanted = std::max(hz, was_.min_hz);
  if (was_.max_hz > 0) wanted = std::min(wanted, std::max(was_.max_hz, was_.min_hz));
  wanted = wanted / unit_ * unit_;
  moved_limits_ = true;
  if (KnobOutcome out = write_limits(wanted, wanted); !out.ok()) return out;
  // Applied from a work queue since Linux 5.4: an immediate read can still show the old value.
  const std::int64_t high = read_until(max_, wanted, 20, 500);
  const std::int64_t low = read_until(min_, wanted, 20, 500);
  achieved_hz = high == low ? high : frequency();
  return {};
}

// Both limits in the order in which they never cross: kernels before 5.4 refuse a crossing.
KnobOutcome FrequencyKnob::write_limits(std::int64_t low_hz, std::int64_t high_hz) {
  const bool max_first = high_hz >= low_hz_;
  for (const bool maximum : {max_first, !max_first}) {
    const std::string& name = maximum ? max_ : min_;
    if (const int error = write_hz(name, maximum ? high_hz : low_hz); error != 0) return {error, name};
    (maximum ? high_hz_ : low_hz_) = maximum ? high_hz : low_hz;
  }
  return {};
}

KnobOutcome FrequencyKnob::restore_governor() {
  std::string now;
  if (const int error = sysfs::read_text(governor_, now); error != 0) return {error, governor_};
  if (now == was_.governor) return {};
  if (const int error = sysfs::write_text(governor_, was_.governor); error != 0) return {error, governor_};
  if (const int error = sysfs::read_text(governor_, now); error != 0) return {error, governor_};
  if (now != was_.governor) return {EINVAL, governor_};
  for (const auto& [tunable, value] : was_.tunables) {
    const std::string path = sysfs::under(root_, tunable).string();
    std::string present;
    if (sysfs::read_text(path, present) != 0 || present == value) continue;
    if (const int error = sysfs::write_text(path, value); error != 0) return {error, path};
  }
  return {};
}

KnobOutcome FrequencyKnob::restore() {
  if (!saved_) return {};
  KnobOutcome first;
  const auto note = [&first](KnobOutcome out) {
    if (first.ok()) first = std::move(out);
  };
  if (took_governor_) note(restore_governor());
  if (first.ok() && moved_speed_ && was_.set_hz > 0) {
    if (const int error = write_hz(speed_, was_.set_hz); error != 0) note({error, speed_});
  }
  if (moved_limits_) note(write_limits(was_.min_hz, was_.max_hz));
  if (!first.ok()) return first;
  saved_ = took_governor_ = moved_speed_ = moved_limits_ = false;
  held_hz_ = 0;
  return {};
}

std::int64_t FrequencyKnob::frequency() const noexcept {
  std::int64_t hz = 0;
  if (read_hz(current_, hz) != 0 && read_hz(hardware_, hz) != 0) return 0;
  return hz;
}

std::pair<int, const std::string*> FrequencyKnob::first_obstacle() const noexcept {
  std::int64_t hz = 0;
  if (const int error = read_hz(max_, hz); error != 0) return {error, &max_};
  for (const std::string* name : {&governor_, &min_, &max_}) {
    if (const int error = write_obstacle(*name); error != 0) return {error, name};
  }
  return {0, nullptr};
}

KnobOutcome FrequencyKnob::obstacle() const {
  const auto [error, name] = first_obstacle();
  return {error, name != nullptr ? *name : std::string()};
}

bool FrequencyKnob::holds() const noexcept {
  if (held_hz_ == 0) return true;
  std::int64_t now = 0;
  if (was_.moves_limits) return read_hz(max_, now) == 0 && now == held_hz_;
  const bool cpu = was_.kind == sysfs::KnobKind::cpufreq;
  return read_hz(cpu ? speed_ : current_, now) == 0 && now == held_hz_;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/dvfs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <thread>
#include <utility>

#include "dsn/core/units.h"
#include "dsn/platform/sysfs.h"

namespace dsn {

namespace {

// An errno and the file it came from. error 0: all went well.
struct Outcome {
  int error = 0;
  const std::string* file = nullptr;
  [[nodiscard]] bool ok() const noexcept { return error == 0; }
};

// As the effective user: access(2) would ask for the real one.
bool may_write(const std::string& file) noexcept {
  return ::faccessat(AT_FDCWD, file.c_str(), W_OK, AT_EACCESS) == 0;
}

// Reads `file` until it says `wanted`, at most `tries` times. The last value read, 0 if none could be.
std::int64_t read_until(const std::string& file, std::int64_t wanted, int tries,
                        std::chrono::microseconds pause) {
  std::int64_t value = 0;
  for (int i = 0; i < tries; ++i) {
    if (i > 0) std::this_thread::sleep_for(pause);
    if (sysfs::read_number(file, value) != 0) value = 0;
    if (value == wanted) break;
  }
  return value;
}

// One cpufreq policy. Frequencies in kilohertz, as the kernel has them.
class CpufreqPolicy {
 public:
  CpufreqPolicy(const fs::path& root, const std::string& name)
      : name_(name),
        governor_(file(root, "scaling_governor")),
        governors_(file(root, "scaling_available_governors")),
        min_(file(root, "scaling_min_freq")),
        max_(file(root, "scaling_max_freq")),
        setspeed_(file(root, "scaling_setspeed")),
        current_(file(root, "scaling_cur_freq")),
        hardware_(file(root, "cpuinfo_cur_freq")) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  Outcome set(std::int64_t khz, std::int64_t& achieved) {
    if (!saved_) {
      if (const Outcome out = save(); !out.ok()) return out;
    }
    if (by_setspeed_) {
      const Outcome out = set_speed(khz, achieved);
      if (!out.ok() || by_setspeed_) return out;
    }
    return pin(khz, achieved);
  }

  [[nodiscard]] std::int64_t frequency() const noexcept {
    std::int64_t khz = 0;
    if (sysfs::read_number(current_, khz) != 0 && sysfs::read_number(hardware_, khz) != 0) return 0;
    return std::max<std::int64_t>(khz, 0);
  }

  // Whether both ways of setting, or at least pinning, are open to this user and a CPU is online.
  [[nodiscard]] bool writable() const noexcept {
    std::int64_t khz = 0;
    return sysfs::read_number(max_, khz) == 0 && may_write(governor_) && may_write(min_) && may_write(max_);
  }

  void restore() noexcept {
    if (!saved_) return;
    bool done = true;
    if (took_governor_) {
      done = sysfs::write_text(governor_, was_governor_) == 0;
    } else if (moved_speed_ && was_speed_ > 0) {
      done = sysfs::write_number(setspeed_, was_speed_) == 0;
    }
    if (moved_limits_) done = limits(was_min_, was_max_).ok() && done;
    if (!done) return;  // kept, so that a later restore() tries again (a policy that is offline now)
    saved_ = took_governor_ = moved_speed_ = moved_limits_ = false;
  }

 private:
  std::string file(const fs::path& root, const char* attribute) const {
    return (sysfs::under(root, "sys/devices/system/cpu/cpufreq") / name_ / attribute).string();
  }

  Outcome save() {
    if (const int error = sysfs::read_text(governor_, was_governor_); error != 0) return {error, &governor_};
    if (const int error = sysfs::read_number(min_, was_min_); error != 0) return {error, &min_};
    if (const int error = sysfs::read_number(max_, was_max_); error != 0) return {error, &max_};
    was_speed_ = 0;
    // "<unsupported>" unless the governor is userspace already.
    if (sysfs::read_number(setspeed_, was_speed_) != 0) was_speed_ = 0;
    low_ = was_min_;
    high_ = was_max_;
    std::string governors;
    if (sysfs::read_text(governors_, governors) != 0) governors.clear();
    const bool offered =
        was_governor_ == "userspace" || (" " + governors + " ").find(" userspace ") != std::string::npos;
    by_setspeed_ = offered && ::access(setspeed_.c_str(), F_OK) == 0;
    saved_ = true;
    return {};
  }

  // Switches to `userspace`. Clears by_setspeed_ when this kernel does not, in which case it keeps the
  // governor it had.
  Outcome take_governor() {
    const int error = sysfs::write_text(governor_, "userspace");
    if (error == EINVAL) {  // listed, but its module does not load
      by_setspeed_ = false;
      return {};
    }
    if (error != 0) return {error, &governor_};
    took_governor_ = was_governor_ != "userspace";
    std::string now;
    if (const int again = sysfs::read_text(governor_, now); again != 0) return {again, &governor_};
    by_setspeed_ = now == "userspace";  // some vendor kernels accept the write and change nothing
    return {};
  }

  Outcome set_speed(std::int64_t khz, std::int64_t& achieved) {
    if (!took_governor_ && was_governor_ != "userspace") {
      if (const Outcome out = take_governor(); !out.ok() || !by_setspeed_) return out;
    }
    moved_speed_ = true;
    int error = sysfs::write_number(setspeed_, khz);
    if (error == EINVAL) {  // somebody took the governor back meanwhile
      if (const Outcome out = take_governor(); !out.ok() || !by_setspeed_) return out;
      error = sysfs::write_number(setspeed_, khz);
    }
    if (error != 0) return {error, &setspeed_};
    // Reads as the frequency the driver was given, after limits and rounding; scaling_cur_freq may be a noisy
    // measurement.
    achieved = read_until(setspeed_, khz, 4, std::chrono::microseconds(250));
    return {};
  }

  // Minimum = maximum = khz, inside the limits that were found.
  Outcome pin(std::int64_t khz, std::int64_t& achieved) {
    const std::int64_t wanted = std::clamp(khz, was_min_, std::max(was_min_, was_max_));
    moved_limits_ = true;
    if (const Outcome out = limits(wanted, wanted); !out.ok()) return out;
    // Applied from a work queue since Linux 5.4: an immediate read can still show the old value.
    constexpr auto kPause = std::chrono::microseconds(500);
    const std::int64_t high = read_until(max_, wanted, 20, kPause);
    const std::int64_t low = read_until(min_, wanted, 20, kPause);
    achieved = high == low ? high : frequency();
    return {};
  }

  // Writes both limits in the order in which they never cross: kernels before 5.4 refuse a crossing.
  Outcome limits(std::int64_t low, std::int64_t high) noexcept {
    const bool max_first = high >= low_;
    for (const bool maximum : {max_first, !max_first}) {
      const std::string& name = maximum ? max_ : min_;
      if (const int error = sysfs::write_number(name, maximum ? high : low); error != 0)
        return {error, &name};
      (maximum ? high_ : low_) = maximum ? high : low;
    }
    return {};
  }

  std::string name_, governor_, governors_, min_, max_, setspeed_, current_, hardware_;
  bool saved_ = false, by_setspeed_ = false;
  bool took_governor_ = false, moved_speed_ = false, moved_limits_ = false;  // what restore() has to undo
  std::string was_governor_;
  std::int64_t was_min_ = 0, was_max_ = 0, was_speed_ = 0;
  std::int64_t low_ = 0, high_ = 0;  // limits as last written
};

struct ControlledCluster {
  std::string name;
  ClusterKind kind = ClusterKind::cpu;
  std::vector<double> freq_hz;
  std::vector<CpufreqPolicy> policies;
};

class CpufreqControl final : public FrequencyControl {
 public:
  CpufreqControl(const Platform& platform, const fs::path& root) {
    for (const Cluster& cluster : platform.clusters) {
      ControlledCluster& mine = clusters_.emplace_back();
      mine.name = cluster.name;
      mine.kind = cluster.kind;
      for (const Opp& opp : cluster.opps) mine.freq_hz.push_back(opp.freq_hz);
      if (cluster.kind != ClusterKind::cpu) continue;
      for (const std::string& policy : split_knob(cluster.knob)) mine.policies.emplace_back(root, policy);
    }
  }
  CpufreqControl(const CpufreqControl&) = delete;
  CpufreqControl& operator=(const CpufreqControl&) = delete;
  ~CpufreqControl() override { restore_all(); }

  double set_opp(std::size_t cluster, std::size_t opp) override {
    ControlledCluster& target = checked(cluster, opp);
    const auto khz = static_cast<std::int64_t>(std::llround(target.freq_hz[opp] / 1e3));
    std::int64_t lowest = 0;
    bool any = false;
    Outcome offline;
    const CpufreqPolicy* offline_policy = nullptr;
    for (CpufreqPolicy& policy : target.policies) {
      std::int64_t achieved = 0;
      const Outcome out = policy.set(khz, achieved);
      if (out.error == EBUSY) {
        offline = out;
        offline_policy = &policy;
      } else if (!out.ok()) {
        throw failure(out, policy, target.freq_hz[opp]);
      } else {
        lowest = any ? std::min(lowest, achieved) : achieved;
        any = true;
      }
    }
    if (!any) throw failure(offline, *offline_policy, target.freq_hz[opp]);
    return static_cast<double>(lowest) * 1e3;
  }

  [[nodiscard]] double frequency(std::size_t cluster) const noexcept override {
    if (cluster >= clusters_.size()) return 0;
    std::int64_t lowest = 0;
    for (const CpufreqPolicy& policy : clusters_[cluster].policies) {
      const std::int64_t khz = policy.frequency();
      if (khz > 0) lowest = lowest == 0 ? khz : std::min(lowest, khz);
    }
    return static_cast<double>(lowest) * 1e3;
  }

  [[nodiscard]] bool can_set(std::size_t cluster) const noexcept override {
    if (cluster >= clusters_.size()) return false;
    const ControlledCluster& target = clusters_[cluster];
    return target.freq_hz.front() > 0 && std::any_of(target.policies.begin(), target.policies.end(),
                                                     [](const auto& policy) { return policy.writable(); });
  }

  void restore() noexcept override { restore_all(); }

 private:
  void restore_all() noexcept {
    for (ControlledCluster& cluster : clusters_) {
      for (CpufreqPolicy& policy : cluster.policies) policy.restore();
    }
  }

  // Throws unless there is such an OPP and something to set it with.
  ControlledCluster& checked(std::size_t cluster, std::size_t opp) {
    if (cluster >= clusters_.size()) {
      throw Error(ErrorCode::bad_usage,
                  fmt::format("cluster {} does not exist: there are {}", cluster, clusters_.size()));
    }
    ControlledCluster& target = clusters_[cluster];
    if (opp >= target.freq_hz.size()) {
      throw Error(ErrorCode::bad_usage, fmt::format("cluster '{}' has no operating point {}: there are {}",
                                                    target.name, opp, target.freq_hz.size()));
    }
    if (target.kind != ClusterKind::cpu) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("cannot set the frequency of cluster '{}': it is a GPU", target.name),
                  "only cpufreq policies can be set; leave this cluster to its governor");
    }
    if (target.policies.empty() || target.freq_hz[opp] <= 0) {
      throw Error(
          ErrorCode::unsupported,
          fmt::format("cannot set the frequency of cluster '{}': {}", target.name,
                      target.policies.empty() ? "its \"knob\" is empty" : "its frequency is not known"),
          "this machine offers no frequency control; leave frequencies to the kernel");
    }
    return target;
  }

  static Error failure(const Outcome& out, const CpufreqPolicy& policy, double freq_hz) {
    return sysfs::cpufreq_error(
        out.error, fmt::format("cannot set {} to {}", policy.name(), format_frequency(freq_hz)), *out.file);
  }

  std::vector<ControlledCluster> clusters_;
};

}  // namespace

std::unique_ptr<FrequencyControl> make_cpufreq_control(const Platform& platform, const fs::path& root) {
  return std::make_unique<CpufreqControl>(platform, root);
}

}  // namespace dsn

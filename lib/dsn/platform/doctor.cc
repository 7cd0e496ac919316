// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/doctor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "dsn/core/units.h"
#include "dsn/platform/nvml.h"
#include "dsn/platform/sysfs.h"

namespace dsn {
namespace {

class Examination {
 public:
  Examination(const Platform& platform, const fs::path& root, const fs::path& state_file)
      : platform_(platform), root_(root), state_file_(state_file) {}

  std::vector<Finding> run() {
    const auto control = make_frequency_control(platform_, {root_, {}});
    for (std::size_t c = 0; c < platform_.clusters.size(); ++c) frequency(c, *control);
    energy();
    nvidia();
    temperature();
    power_mode();
    placement();
    left_behind();
    return std::move(findings_);
  }

 private:
  [[nodiscard]] fs::path under(std::string_view relative) const { return sysfs::under(root_, relative); }
  [[nodiscard]] std::string text(std::string_view relative) const {
    std::string value;
    return sysfs::read_text(under(relative).string(), value) == 0 ? value : std::string();
  }
  void add(std::string area, std::string what, Able able, std::string detail, std::string change = {}) {
    findings_.push_back({std::move(area), std::move(what), able, std::move(detail), std::move(change)});
  }
  // Folder names in `relative` that start with `prefix`, sorted.
  [[nodiscard]] std::vector<std::string> entries(std::string_view relative, std::string_view prefix) const {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator it(under(relative), error), end; !error && it != end; it.increment(error)) {
      if (std::string name = it->path().filename().string(); name.starts_with(prefix))
        names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  [[nodiscard]] bool is_virtual() const {
    return text("proc/cpuinfo").find(" hypervisor") != std::string::npos;
  }

  void frequency(std::size_t c, const FrequencyControl& control) {
    const Cluster& cluster = platform_.clusters[c];
    const std::string what =
        cluster.knob.empty() ? cluster.name : fmt::format("{} ({})", cluster.name, cluster.knob);
    if (cluster.knob.empty()) {
      add("frequency", what, Able::no, "no cpufreq policy: frequencies can be neither read nor set",
          is_virtual() ? "none inside this virtual machine: its host sets the frequency"
                       : "load a cpufreq driver (acpi-cpufreq, cpufreq-dt), or look for it in the firmware's "
                         "settings");
      return;
    }
    std::string detail = fmt::format("{} operating points, {} to {}", cluster.opps.size(),
                                     format_frequency(cluster.opps.front().freq_hz),
                                     format_frequency(cluster.opps.back().freq_hz));
    if (const double now_hz = control.frequency(c); now_hz > 0)
      detail += fmt::format(", now {}", format_frequency(now_hz));
    const std::string first = split_knob(cluster.knob).front();
    std::string cap;
    if (cluster.kind == ClusterKind::cpu) {
      const std::string base = "sys/devices/system/cpu/cpufreq/" + first + "/";
      const std::string governors = " " + text(base + "scaling_available_governors") + " ";
      const bool userspace = governors.find(" userspace ") != std::string::npos;
      detail += fmt::format("; driver {}, governor {}; set by {}", text(base + "scaling_driver"),
                            text(base + "scaling_governor"),
                            userspace ? "governor userspace" : "minimum = maximum");
      cap = capped(base);
    }
    if (const auto obstacle = control.obstacle(c)) {
      add("frequency", what, Able::partly, fmt::format("{}; it can be read: {}", detail, obstacle->message()),
          obstacle->hint());
    } else if (!cap.empty()) {
      add("frequency", what, Able::partly, detail + "; " + cap,
          "raise the limit (the power mode, scaling_max_freq, or the firmware's)");
    } else {
      add("frequency", what, Able::yes, detail);
    }
  }

  // A limit below what the chip can: from a user, the firmware or heat, which look alike here.
  [[nodiscard]] std::string capped(const std::string& base) const {
    std::int64_t limit = 0, most = 0;
    if (sysfs::read_number(under(base + "scaling_max_freq").string(), limit) != 0 ||
        sysfs::read_number(under(base + "cpuinfo_max_freq").string(), most) != 0 || limit >= most)
      return {};
    return fmt::format("held to {} of {}", format_frequency(static_cast<double>(limit) * 1e3),
                       format_frequency(static_cast<double>(most) * 1e3));
  }

  void energy() {
    const std::vector<FoundMeter> meters = find_meters(root_);
    for (const FoundMeter& meter : meters) {
      const MeterInfo& info = meter.info;
      const std::string detail =
          fmt::format("{}: {}, a fresh value every {}{}, carries windows from {}", info.covers,
                      info.counter ? "energy counter" : "power, sampled", format_duration(info.period_s),
                      info.period_said ? "" : " (assumed)", format_duration(info.window_s));
      if (meter.obstacle) {
        add("energy", info.id, Able::no, detail + ": " + meter.obstacle->message(), meter.obstacle->hint());
      } else {
        const bool chosen = info.window_s <= 2 && !info.part;
        add("energy", info.id, chosen ? Able::yes : Able::partly, detail,
            chosen      ? ""
            : info.part ? "it does not cover what the CPU draws: name it with --energy for what runs there"
                        : "too slow to be chosen by itself: name it with --energy");
      }
    }
    if (std::any_of(meters.begin(), meters.end(), [](const FoundMeter& m) { return !m.info.part; })) return;
    if (platform_.power_known) {
      add("energy", "power model", Able::partly,
          fmt::format("no meter; energies are modelled from the platform's powers ({})",
                      platform_.power_rail),
          "a board with INA rails, RAPL (modprobe intel_rapl_msr), or a battery that discharges");
      return;
    }
    add("energy", "meter", Able::no, "no RAPL zone, INA rail, ACPI power meter or battery",
        is_virtual() ? "none inside this virtual machine; a platform file with powers gives modelled energies"
                     : "modprobe intel_rapl_msr (x86), the INA driver of the board, or a platform file with "
                       "powers for modelled energies");
  }

  // Of GPUs that their driver shows: clocks are only read. Their meters are among the others.
  void nvidia() {
    std::string problem;
    const auto nvml = Nvml::open(root_, problem);
    const std::string version = text("proc/driver/nvidia/version");
    if (nvml == nullptr && version.empty()) return;
    if (nvml == nullptr) {
      add("energy", "NVIDIA GPU", Able::no,
          fmt::format("driver found ({}), its library not: {}", version.substr(0, version.find('\n')),
                      problem),
          "install the driver's libnvidia-ml.so.1 (Debian: libnvidia-ml1)");
      return;
    }
    for (const NvmlGpu& gpu : nvml->gpus()) {
      std::string detail =
          gpu.clock_hz > 0 ? fmt::format("now {}", format_frequency(gpu.clock_hz)) : "not said";
      if (gpu.max_clock_hz > 0) detail += fmt::format(", at most {}", format_frequency(gpu.max_clock_hz));
      add("frequency", gpu.name, Able::partly,
          detail + " (NVML); dsn reads the clocks of a GPU and leaves them alone");
      if (!gpu.counts_energy && !gpu.has_power)
        add("energy", gpu.name, Able::no, "the driver gives neither energy nor power of this GPU");
    }
  }

  void temperature() {
    std::vector<std::string> zones;
    for (const std::string& zone : entries("sys/class/thermal", "thermal_zone")) {
      const std::string base = "sys/class/thermal/" + zone + "/";
      double milli_c = 0;
      if (sysfs::read_decimal(under(base + "temp").string(), milli_c) != 0) continue;
      std::string line = fmt::format("{} {:.0f} °C", text(base + "type"), milli_c / 1e3);
      for (int trip = 0; trip < 12; ++trip) {
        double at = 0;
        if (text(base + fmt::format("trip_point_{}_type", trip)) == "passive" &&
            sysfs::read_decimal(under(base + fmt::format("trip_point_{}_temp", trip)).string(), at) == 0 &&
            at > 0) {
          line += fmt::format(" (throttles at {:.0f})", at / 1e3);
          break;
        }
      }
      zones.push_back(std::move(line));
    }
    if (zones.empty()) {
      add("temperature", "thermal zones", Able::no, "none: throttling shows only as a lower frequency");
    } else {
      add("temperature", fmt::format("{} thermal zone{}", zones.size(), zones.size() == 1 ? "" : "s"),
          Able::yes, fmt::format("{}", fmt::join(zones, ", ")));
    }
  }

  // Jetson: nvpmodel keeps the number of the mode that was set last.
  void power_mode() {
    if (!fs::exists(under("etc/nvpmodel.conf"))) return;
    const std::string status = text("var/lib/nvpmodel/status");
    add("power mode", "nvpmodel", Able::partly,
        status.empty() ? "present, the mode in force is not known" : fmt::format("in force: {}", status),
        "dsn does not change it: nvpmodel -m N does, and a LUT is of one mode");
  }

  void placement() {
    const std::vector<int> online = sysfs::parse_cpu_list(text("sys/devices/system/cpu/online"));
    const std::vector<int> offline = sysfs::parse_cpu_list(text("sys/devices/system/cpu/offline"));
    std::size_t mine = 0;
    if (root_.empty()) {
      cpu_set_t set;
      CPU_ZERO(&set);
      if (::sched_getaffinity(0, sizeof set, &set) == 0) mine = static_cast<std::size_t>(CPU_COUNT(&set));
    }
    std::string detail = fmt::format("{} CPUs online", online.size());
    if (!offline.empty()) detail += fmt::format(", offline: {}", fmt::join(offline, ","));
    if (mine > 0 && mine < online.size()) {
      add("placement", "CPUs", Able::partly, fmt::format("{}; this process may use {} of them", detail, mine),
          "its cpuset or affinity says so (taskset, cgroup cpuset.cpus, the container's limits)");
    } else if (!offline.empty()) {
      add("placement", "CPUs", Able::partly, detail,
          "echo 1 > /sys/devices/system/cpu/cpuN/online, or the power mode");
    } else {
      add("placement", "CPUs", Able::yes, detail);
    }
  }

  void left_behind() {
    std::error_code error;
    if (!fs::exists(state_file_, error)) return;
    add("state", "frequencies", Able::no,
        fmt::format("{}: a dsn sets frequencies now, or one was killed before it put them back",
                    state_file_.string()),
        "dsn restore");
  }

  const Platform& platform_;
  const fs::path &root_, &state_file_;
  std::vector<Finding> findings_;
};

}  // namespace

std::string_view to_string(Able able) noexcept {
  switch (able) {
    case Able::yes:
      return "yes";
    case Able::partly:
      return "partly";
    case Able::no:
      break;
  }
  return "no";
}

std::vector<Finding> examine_machine(const Platform& platform, const fs::path& root,
                                     const fs::path& state_file) {
  return Examination(platform, root, state_file).run();
}

Json to_json(const std::vector<Finding>& findings) {
  Json rows = Json::array();
  for (const Finding& finding : findings) {
    Json row = {{"area", finding.area},
                {"what", finding.what},
                {"able", to_string(finding.able)},
                {"detail", finding.detail}};
    if (!finding.change.empty()) row["change"] = finding.change;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <system_error>
#include <tuple>
#include <utility>

#include "dsn/platform/platform.h"
#include "dsn/platform/sysfs.h"

namespace dsn {

namespace {

// CPUFREQ_ETERNAL: the driver does not know.
constexpr std::int64_t kUnknownLatencyNs = 4294967295;

// In the name or the driver of a devfreq device that is a GPU (Jetson's are named after the chip).
constexpr std::array<const char*, 9> kGpuNames = {"gpu",  "gm20b",    "gp10b", "gv11b", "ga10b",
                                                  "mali", "panfrost", "kgsl",  "lima"};

// One cpufreq policy as sysfs shows it. Frequencies in kilohertz.
struct FoundPolicy {
  std::string name, driver;
  std::vector<int> cpus;
  std::vector<std::int64_t> khz;
  bool table = false;  // khz is the driver's table, not just minimum and maximum
  std::int64_t latency_ns = kUnknownLatencyNs;
  std::int64_t capacity = 0;  // of its first CPU relative to the fastest, 0: not said
};

std::vector<std::int64_t> parse_numbers(const std::string& text) {
  std::vector<std::int64_t> values;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    std::int64_t value = 0;
    const auto [next, status] = std::from_chars(at, end, value);
    if (status == std::errc() && value > 0) values.push_back(value);
    at = next > at ? next : at + 1;
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

class Discovery {
 public:
  explicit Discovery(const fs::path& root)
      : cpu_dir_(sysfs::under(root, "sys/devices/system/cpu")), root_(root) {}

  Json run() {
    Json clusters = Json::array();
    const std::vector<std::vector<FoundPolicy>> groups = grouped(policies());
    for (std::size_t i = 0; i < groups.size(); ++i)
      clusters.push_back(cluster(groups[i], cluster_name(i, groups.size())));
    if (clusters.empty()) clusters.push_back(fixed_cluster());
    for (Json& gpu : gpu_clusters()) clusters.push_back(std::move(gpu));
    const char* const no_power =
        "sysfs says nothing about power: add measured or published numbers to know energy";
    for (Json& entry : clusters) entry["power_reason"] = no_power;
    return {{"schema", "dsn.platform"}, {"schema_version", schema_version("dsn.platform")},
            {"name", model_name()},     {"power", nullptr},
            {"power_reason", no_power}, {"clusters", std::move(clusters)},
            {"warnings", warnings_}};
  }

 private:
  std::string text(const fs::path& file) const {
    std::string value;
    return sysfs::read_text(file.string(), value) == 0 ? value : std::string();
  }

  void warn(std::string line) { warnings_.push_back(std::move(line)); }

  // "model name" on x86, "Model" or "Hardware" on some Arm kernels, else the device tree's model.
  std::string model_name() {
    const std::string info = text(sysfs::under(root_, "proc/cpuinfo"));
    for (const std::string_view key : {"model name", "Model", "Hardware"}) {
      std::size_t line = 0;
      while (line < info.size()) {
        const std::size_t end = std::min(info.find('\n', line), info.size());
        const std::string_view row(info.data() + line, end - line);
        const std::size_t colon = row.find(':');
        if (colon != std::string_view::npos &&
            row.substr(0, row.find_last_not_of(" \t", colon - 1) + 1) == key) {
          const std::size_t value = row.find_first_not_of(" \t", colon + 1);
          if (value != std::string_view::npos) return std::string(row.substr(value));
        }
        line = end + 1;
      }
    }
    if (std::string model = text(sysfs::under(root_, "proc/device-tree/model")); !model.empty()) return model;
    warn("neither /proc/cpuinfo nor the device tree names this machine");
    return "unknown machine";
  }

  std::vector<FoundPolicy> policies() {
    std::vector<fs::path> folders;
    std::error_code error;
    for (fs::directory_iterator it(cpu_dir_ / "cpufreq", error), end; !error && it != end;
         it.increment(error)) {
      if (it->path().filename().string().rfind("policy", 0) == 0) folders.push_back(it->path());
    }
    std::sort(folders.begin(), folders.end());  // the file system's order is no order
    std::vector<FoundPolicy> found;
    for (const fs::path& folder : folders) {
      FoundPolicy policy;
      if (read_policy(folder.filename().string(), folder, policy)) found.push_back(std::move(policy));
    }
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.cpus.front() < b.cpus.front(); });
    return found;
  }

  bool read_policy(const std::string& name, const fs::path& dir, FoundPolicy& policy) {
    policy.name = name;
    policy.cpus = sysfs::parse_cpu_list(text(dir / "related_cpus"));
    if (policy.cpus.empty()) {
      warn(fmt::format("{} left out: related_cpus cannot be read (its CPUs may be offline)", name));
      return false;
    }
    policy.khz = parse_numbers(text(dir / "scaling_available_frequencies"));
    policy.table = !policy.khz.empty();
    policy.driver = text(dir / "scaling_driver");
    if (!policy.table) {
      policy.khz = parse_numbers(text(dir / "cpuinfo_min_freq") + " " + text(dir / "cpuinfo_max_freq"));
      if (policy.khz.empty()) {
        warn(fmt::format("{} left out: it has neither a frequency table nor limits", name));
        return false;
      }
      warn(fmt::format("{}: driver '{}' has no frequency table; only its minimum and maximum are listed",
                       name, policy.driver));
    }
    std::int64_t latency = 0;
    if (sysfs::read_number((dir / "cpuinfo_transition_latency").string(), latency) == 0 && latency >= 0) {
      policy.latency_ns = latency;
    }
    const fs::path cpu = cpu_dir_ / fmt::format("cpu{}", policy.cpus.front());
    if (sysfs::read_number((cpu / "cpu_capacity").string(), policy.capacity) != 0) policy.capacity = 0;
    return true;
  }

  // Policies that cannot be told apart are one cluster. Slowest cluster first.
  static std::vector<std::vector<FoundPolicy>> grouped(std::vector<FoundPolicy> found) {
    std::vector<std::vector<FoundPolicy>> groups;
    for (FoundPolicy& policy : found) {
      const auto same =
          std::find_if(groups.begin(), groups.end(), [&](const std::vector<FoundPolicy>& group) {
            return group.front().khz == policy.khz && group.front().capacity == policy.capacity;
          });
      if (same != groups.end()) {
        same->push_back(std::move(policy));
      } else {
        groups.emplace_back().push_back(std::move(policy));
      }
    }
    std::stable_sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
      return std::make_tuple(a.front().capacity, a.front().khz.back()) <
             std::make_tuple(b.front().capacity, b.front().khz.back());
    });
    return groups;
  }

  static std::string cluster_name(std::size_t index, std::size_t count) {
    if (count == 1) return "cpu";
    if (index + 1 == count) return "big";
    if (index == 0) return "little";
    return count == 3 ? "mid" : fmt::format("mid{}", index);
  }

  static Json cluster(const std::vector<FoundPolicy>& group, const std::string& name) {
    const FoundPolicy& first = group.front();
    Json opps = Json::array();
    for (const std::int64_t khz : first.khz) opps.push_back({{"freq_hz", khz * 1000}});
    std::vector<int> cpus;
    std::string knob;
    std::int64_t latency_ns = 0;
    for (const FoundPolicy& policy : group) {
      cpus.insert(cpus.end(), policy.cpus.begin(), policy.cpus.end());
      knob += (knob.empty() ? "" : ",") + policy.name;
      latency_ns = std::max(latency_ns, policy.latency_ns);
    }
    std::sort(cpus.begin(), cpus.end());
    const char* const files =
        first.table ? "scaling_available_frequencies" : "cpuinfo_min_freq and cpuinfo_max_freq";
    Json entry = {{"name", name},
                  {"kind", "cpu"},
                  {"cpus", cpus},
                  {"knob", knob},
                  {"frequencies",
                   {{"origin", "measured"}, {"source", fmt::format("cpufreq/{}: {}", first.name, files)}}},
                  {"opps", std::move(opps)}};
    if (latency_ns < kUnknownLatencyNs) {
      entry["transition_latency_s"] = static_cast<double>(latency_ns) * 1e-9;
    } else {
      entry["transition_latency_s"] = nullptr;
      entry["transition_latency_s_reason"] = "the cpufreq driver does not know it";
    }
    return entry;
  }

  // devfreq has memory controllers and buses too, and no word for what a device is: its name or its driver's
  // tells.
  bool is_gpu(const fs::path& device) const {
    const std::string names = device.filename().string() + " " + text(device / "device/uevent");
    return std::any_of(kGpuNames.begin(), kGpuNames.end(),
                       [&](const char* part) { return names.find(part) != std::string::npos; });
  }

  std::vector<Json> gpu_clusters() {
    std::vector<fs::path> devices;
    std::error_code error;
    for (fs::directory_iterator it(sysfs::under(root_, "sys/class/devfreq"), error), end; !error && it != end;
         it.increment(error)) {
      if (is_gpu(it->path())) devices.push_back(it->path());
    }
    std::sort(devices.begin(), devices.end());
    std::vector<Json> clusters;
    for (const fs::path& device : devices) {
      const std::string knob = device.filename().string();
      std::vector<std::int64_t> freqs_hz = parse_numbers(text(device / "available_frequencies"));
      const bool table = !freqs_hz.empty();
      if (!table) freqs_hz = parse_numbers(text(device / "min_freq") + " " + text(device / "max_freq"));
      if (freqs_hz.empty()) {
        warn(fmt::format("GPU {} left out: it has neither a frequency table nor limits", knob));
        continue;
      }
      Json opps = Json::array();
      for (const std::int64_t hz : freqs_hz) opps.push_back({{"freq_hz", hz}});
      const std::string source =
          fmt::format("devfreq/{}: {}", knob, table ? "available_frequencies" : "min_freq and max_freq");
      clusters.push_back({{"name", clusters.empty() ? "gpu" : fmt::format("gpu{}", clusters.size())},
                          {"kind", "gpu"},
                          {"knob", knob},
                          {"frequencies", {{"origin", "measured"}, {"source", source}}},
                          {"transition_latency_s", nullptr},
                          {"transition_latency_s_reason", "devfreq does not say it"},
                          {"opps", std::move(opps)}});
    }
    return clusters;
  }

  // No cpufreq: as in most virtual machines and containers.
  Json fixed_cluster() {
    warn("no cpufreq policy: the CPU frequency is unknown and cannot be set");
    std::vector<int> cpus = sysfs::parse_cpu_list(text(cpu_dir_ / "online"));
    if (cpus.empty()) {
      warn("/sys/devices/system/cpu/online cannot be read: one CPU is assumed");
      cpus = {0};
    }
    return {{"name", "cpu"},
            {"kind", "cpu"},
            {"cpus", cpus},
            {"knob", ""},
            {"frequencies", {{"origin", "measured"}, {"source", "sysfs: no cpufreq policy"}}},
            {"opps", {{{"freq_hz", nullptr}, {"freq_hz_reason", "this machine does not say its frequency"}}}},
            {"transition_latency_s", nullptr},
            {"transition_latency_s_reason", "the frequency cannot be set"}};
  }

  fs::path cpu_dir_, root_;
  std::vector<std::string> warnings_;
};

}  // namespace

Json discover_platform(const fs::path& root) {
  return Discovery(root).run();
}

}  // namespace dsn

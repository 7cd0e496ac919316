// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/load_monitor.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <string_view>

namespace dsn {
namespace {

constexpr double kInterval = 0.25;   // the kernel counts in ticks of up to 10 ms: 4 % of this
constexpr double kFirst = 0.05;      // better a rough figure than none before the first decision
constexpr double kSaturated = 0.05;  // of the cores idle, or less
constexpr double kOthers = 0.1;      // cores: below, a saturated cluster is saturated by ourselves

struct CpuTimes {
  long busy = 0, idle = 0;  // ticks
};

// Takes a number off the front of `text`; 0 at the end.
long take_number(std::string_view& text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return error == std::errc() ? value : 0;
}

double process_cpu_s() noexcept {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + 1e-9 * static_cast<double>(spent.tv_nsec);
}

bool is_cpu(const Cluster& cluster) {
  return cluster.kind == ClusterKind::cpu;
}

class ProcStatMonitor final : public LoadMonitor {
 public:
  ProcStatMonitor(const Platform& platform, const fs::path& root) : clusters_(platform.clusters.size()) {
    // On which of several clusters our own time was spent is not known, so neither is the others'.
    if (std::count_if(platform.clusters.begin(), platform.clusters.end(), is_cpu) != 1) return;
    std::size_t cpus = 0;
    for (std::size_t c = 0; c < platform.clusters.size(); ++c) {
      if (!is_cpu(platform.clusters[c])) continue;
      clusters_[c].cpus = platform.clusters[c].cpus;
      for (const int cpu : clusters_[c].cpus) cpus = std::max(cpus, static_cast<std::size_t>(cpu) + 1);
    }
    before_.resize(cpus);
    now_ = before_;
    text_.resize(256 * (before_.size() + 1));
    file_ = open((root.empty() ? fs::path("/proc/stat") : root / "proc/stat").c_str(), O_RDONLY | O_CLOEXEC);
    ticks_per_s_ = static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  ProcStatMonitor(const ProcStatMonitor&) = delete;
  ProcStatMonitor& operator=(const ProcStatMonitor&) = delete;
  ~ProcStatMonitor() override {
    if (file_ >= 0) close(file_);
  }

  void poll(double now_s) noexcept override {
    if (file_ < 0 || (read_s_ >= 0 && now_s - read_s_ < (known_ ? kInterval : kFirst))) return;
    const double own_s = process_cpu_s();
    if (!read_times()) {
      if (known_) lose();
      return;
    }
    if (read_s_ >= 0) {
      update(now_s - read_s_, own_s - own_s_);
      known_ = true;
    }
    before_ = now_;  // same size: copies in place
    read_s_ = now_s;
    own_s_ = own_s;
  }

  double others_load(std::size_t cluster) const noexcept override { return clusters_[cluster].others; }

 private:
  struct Group {
    std::vector<int> cpus;
    double others = -1;
  };

  bool read_times() noexcept {
    const ssize_t size = pread(file_, text_.data(), text_.size(), 0);
    if (size <= 0) return false;
    std::string_view text(text_.data(), static_cast<std::size_t>(size));
    while (text.starts_with("cpu")) {
      std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      line.remove_prefix(3);
      if (line.starts_with(' ')) continue;  // the sum over all
      const auto cpu = static_cast<std::size_t>(take_number(line));
      // user nice system idle iowait irq softirq steal; guest times are in user already
      std::array<long, 8> field{};
      for (long& value : field) value = take_number(line);
      if (cpu >= now_.size()) continue;
      now_[cpu].idle = field[3] + field[4];
      now_[cpu].busy = field[0] + field[1] + field[2] + field[5] + field[6] + field[7];
    }
    return true;
  }

  // What was read last is not true for ever.
  void lose() noexcept {
    known_ = false;
    read_s_ = -1;
    for (Group& group : clusters_) group.others = -1;
  }

  void update(double passed_s, double own_s) noexcept {
    for (Group& group : clusters_) {
      if (group.cpus.empty()) continue;
      double busy = 0, idle = 0;
      for (const int cpu : group.cpus) {
        const auto at = static_cast<std::size_t>(cpu);
        busy += static_cast<double>(now_[at].busy - before_[at].busy);
        idle += static_cast<double>(now_[at].idle - before_[at].idle);
      }
      const double cores = static_cast<double>(group.cpus.size());
      const double scale = ticks_per_s_ * passed_s;
      const double others = std::clamp(busy / scale - own_s / passed_s, 0.0, cores);
      const bool saturated = idle / scale <= kSaturated * cores;
      group.others = saturated && others > kOthers ? cores : others;
    }
  }

  std::vector<Group> clusters_;
  std::vector<CpuTimes> before_, now_;
  std::vector<char> text_;
  int file_ = -1;
  bool known_ = false;
  double ticks_per_s_ = 100, read_s_ = -1, own_s_ = 0;
};

}  // namespace

std::unique_ptr<LoadMonitor> make_load_monitor(const Platform& platform, const fs::path& root) {
  return std::make_unique<ProcStatMonitor>(platform, root);
}

}  // namespace dsn

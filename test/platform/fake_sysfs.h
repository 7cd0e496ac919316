// SPDX-License-Identifier: Apache-2.0
// A folder that looks like /: plain files where the kernel would have its own.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace dsn::test {

class FakeSysfs {
 public:
  FakeSysfs() {
    std::string name = (std::filesystem::temp_directory_path() / "dsn-platform-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    root_ = name;
  }
  FakeSysfs(const FakeSysfs&) = delete;
  FakeSysfs& operator=(const FakeSysfs&) = delete;
  ~FakeSysfs() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

  void put(const std::string& file, const std::string& text) const {
    const std::filesystem::path path = root_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::trunc) << text;
  }
  // A folder in place of a file: opening it to write fails for root too.
  void block(const std::string& file) const {
    std::filesystem::remove(root_ / file);
    std::filesystem::create_directories(root_ / file);
  }
  void remove(const std::string& file) const { std::filesystem::remove_all(root_ / file); }

  // Without the trailing newline.
  [[nodiscard]] std::string get(const std::string& file) const {
    std::ifstream in(root_ / file);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }

  static std::string policy(int cpu, const std::string& file) {
    return "sys/devices/system/cpu/cpufreq/policy" + std::to_string(cpu) + "/" + file;
  }

  // A cpufreq policy under `schedutil` between 400 and 1200 MHz, three OPPs.
  void add_policy(int first_cpu, const std::string& cpus,
                  const std::string& governors = "userspace schedutil ") const {
    put(policy(first_cpu, "related_cpus"), cpus + "\n");
    put(policy(first_cpu, "affected_cpus"), cpus + "\n");
    put(policy(first_cpu, "scaling_driver"), "fake-cpufreq\n");
    put(policy(first_cpu, "scaling_available_frequencies"), "1200000 800000 400000 \n");
    put(policy(first_cpu, "scaling_available_governors"), governors + "\n");
    put(policy(first_cpu, "cpuinfo_min_freq"), "400000\n");
    put(policy(first_cpu, "cpuinfo_max_freq"), "1200000\n");
    put(policy(first_cpu, "cpuinfo_transition_latency"), "300000\n");
    put(policy(first_cpu, "scaling_governor"), "schedutil\n");
    put(policy(first_cpu, "scaling_min_freq"), "400000\n");
    put(policy(first_cpu, "scaling_max_freq"), "1200000\n");
    put(policy(first_cpu, "scaling_cur_freq"), "400000\n");
    put(policy(first_cpu, "scaling_setspeed"), "<unsupported>\n");
  }

  // A devfreq GPU of three OPPs under Jetson's governor.
  void add_gpu(const std::string& name, const std::string& governors = "nvhost_podgov userspace") const {
    const std::string base = "sys/class/devfreq/" + name + "/";
    put(base + "available_frequencies", "114750000 510000000 1109250000\n");
    put(base + "available_governors", governors + "\n");
    put(base + "governor", "nvhost_podgov\n");
    put(base + "min_freq", "114750000\n");
    put(base + "max_freq", "1109250000\n");
    put(base + "cur_freq", "114750000\n");
    put(base + "userspace/set_freq", "undefined\n");
  }

 private:
  std::filesystem::path root_;
};

}  // namespace dsn::test

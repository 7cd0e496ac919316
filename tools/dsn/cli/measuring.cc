// SPDX-License-Identifier: Apache-2.0
#include "cli/measuring.h"

#include <fmt/format.h>

#include "dsn/core/error.h"

namespace dsn::cli {

Platform platform_or_this_machine(const std::string& file, const std::string& sysfs_root) {
  return file.empty() ? parse_platform(discover_platform(sysfs_root), "this machine") : load_platform(file);
}

std::string device_name() {
  const Json context = host_context();
  const auto text = [&](const char* key) {
    const auto found = context.find(key);
    return found != context.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  std::string name = text("cpu_model");
  if (name.empty()) name = text("machine");
  if (name.empty()) name = "unknown CPU";
  const auto cores = context.find("cores");
  if (cores != context.end() && cores->is_number_integer())
    name += fmt::format(", {} CPUs", cores->get<int>());
  return name;
}

std::vector<std::string> measuring_doubts() {
  std::vector<std::string> doubts;
  const std::string build = tool_info().value("build", "");
  if (build.rfind("debug", 0) == 0 && build.rfind("debugoptimized", 0) != 0) {
    doubts.emplace_back(
        "this is a debug build: what it measures is too slow (build with --buildtype=release)");
  }
  if (build.find('+') != std::string::npos) {
    doubts.push_back(fmt::format("this is a sanitizer build ({}): what it measures is too slow", build));
  }
  const Json context = host_context();
  const auto loads = context.find("load_average");
  const auto cores = context.find("cores");
  if (loads != context.end() && loads->is_array() && !loads->empty() && cores != context.end() &&
      cores->is_number()) {
    const double load = loads->front().get<double>();
    if (load > 0.5 * cores->get<double>()) {
      doubts.push_back(
          fmt::format("the machine is busy: load average {:.1f} on {} CPUs", load, cores->get<int>()));
    }
  }
  return doubts;
}

Json doubtful_envelope(std::string_view schema, std::uint64_t seed, const std::vector<std::string>& doubts) {
  Json envelope = measured_envelope(schema, seed);
  for (const auto& doubt : doubts) envelope["warnings"].push_back(doubt);
  return envelope;
}

}  // namespace dsn::cli

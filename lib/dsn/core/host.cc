// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/json.h"
#include "dsn/version.h"

namespace dsn {
namespace {

Json sanitizers() {
  Json names = Json::array();
  for (const std::string_view name : build_info().sanitizers) names.push_back(name);
  return names;
}

// Text of a small kernel file, without its last newline.
std::optional<std::string> kernel_text(const fs::path& path) {
  try {
    std::string text = read_file(path);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.pop_back();
    return text;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<double> kernel_number(const fs::path& path) {
  const std::optional<std::string> text = kernel_text(path);
  if (!text) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
  return value;
}

// Bytes from the kernel, as JSON text whatever they are.
Json safe_text(const std::string& text) {
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

void set_absent(Json& object, const std::string& field, const std::string& reason) {
  object[field] = nullptr;
  object[field + "_reason"] = reason;
}

// Folders in `folder` whose names start with `prefix`, sorted by name.
std::vector<fs::path> folders(const fs::path& folder, std::string_view prefix) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().rfind(prefix, 0) == 0) found.push_back(it->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// /proc/cpuinfo on x86 and some others names the model; on ARM the device tree names the board.
std::optional<std::string> cpu_model(const fs::path& root) {
  if (const std::optional<std::string> info = kernel_text(root / "proc/cpuinfo")) {
    for (const std::string_view key : {"model name", "cpu model", "Model"}) {
      const std::size_t at = info->rfind(key, 0) == 0 ? 0 : info->find(fmt::format("\n{}", key));
      if (at == std::string::npos) continue;
      const std::size_t line_end = info->find('\n', at + 1);
      const std::size_t colon = info->find(": ", at);
      if (colon < line_end) return info->substr(colon + 2, line_end - std::min(line_end, colon + 2));
    }
  }
  return kernel_text(root / "proc/device-tree/model");
}

Json cpufreq_policies(const fs::path& root) {
  Json policies = Json::array();
  for (const fs::path& folder : folders(root / "sys/devices/system/cpu/cpufreq", "policy")) {
    Json policy = {{"policy", safe_text(folder.filename().string())}};
    if (const auto governor = kernel_text(folder / "scaling_governor")) {
      policy["governor"] = safe_text(*governor);
    } else {
      set_absent(policy, "governor", "scaling_governor is not readable");
    }
    if (const auto khz = kernel_number(folder / "scaling_cur_freq")) {
      policy["freq_hz"] = *khz * 1000;
    } else {
      set_absent(policy, "freq_hz", "scaling_cur_freq is not readable");
    }
    policies.push_back(std::move(policy));
  }
  return policies;
}

Json thermal_zones(const fs::path& root) {
  Json zones = Json::array();
  for (const fs::path& folder : folders(root / "sys/class/thermal", "thermal_zone")) {
    Json zone = {{"zone", safe_text(folder.filename().string())}};
    if (const auto type = kernel_text(folder / "type")) zone["type"] = safe_text(*type);
    if (const auto millidegrees = kernel_number(folder / "temp")) {
      zone["temp_c"] = *millidegrees / 1000;
    } else {
      set_absent(zone, "temp_c", "temp is not readable");
    }
    zones.push_back(std::move(zone));
  }
  return zones;
}

std::optional<Json> load_average(const fs::path& root) {
  const std::optional<std::string> text = kernel_text(root / "proc/loadavg");
  if (!text) return std::nullopt;
  Json loads = Json::array();
  const char* at = text->data();
  const char* const end = text->data() + text->size();
  for (int minutes = 0; minutes < 3; ++minutes) {
    double load = 0;
    const auto [next, error] = std::from_chars(at, end, load);
    if (error != std::errc{}) return std::nullopt;
    loads.push_back(load);
    at = next == end ? next : next + 1;
  }
  return loads;
}

void set_list(Json& object, const std::string& field, Json list, const std::string& reason) {
  if (list.empty()) {
    set_absent(object, field, reason);
  } else {
    object[field] = std::move(list);
  }
}

Json library_versions() {
  return {{"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
          {"nlohmann_json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                        NLOHMANN_JSON_VERSION_PATCH)},
          {"zlib", zlibVersion()}};
}

}  // namespace

Json tool_info() {
  const BuildInfo& info = build_info();
  std::string build(info.build_type);
  for (const std::string_view name : info.sanitizers) build += fmt::format("+{}", name);
  return {{"name", "dsn"}, {"version", info.version}, {"commit", info.commit}, {"build", build}};
}

Json host_context(const fs::path& root) {
  Json context;
  utsname names{};
  if (::uname(&names) == 0) {
    context["host"] = safe_text(names.nodename);
    context["kernel"] = safe_text(fmt::format("{} {}", names.sysname, names.release));
    context["machine"] = safe_text(names.machine);
  } else {
    for (const char* field : {"host", "kernel", "machine"}) set_absent(context, field, "uname() failed");
  }
  if (const auto model = cpu_model(root)) {
    context["cpu_model"] = safe_text(*model);
  } else {
    set_absent(context, "cpu_model", "neither /proc/cpuinfo nor the device tree names it");
  }
  if (const long cores = ::sysconf(_SC_NPROCESSORS_ONLN); cores > 0) {
    context["cores"] = cores;
  } else {
    set_absent(context, "cores", "sysconf() does not say");
  }
  if (auto loads = load_average(root)) {
    context["load_average"] = std::move(*loads);
  } else {
    set_absent(context, "load_average", "/proc/loadavg is not readable");
  }
  set_list(context, "cpufreq", cpufreq_policies(root), "the kernel shows no cpufreq policies");
  set_list(context, "temperatures", thermal_zones(root), "the kernel shows no thermal zones");
  context["libraries"] = library_versions();
  context["compiler"] = __VERSION__;
  context["build"] = {{"optimized", build_info().build_type != "debug"},
                      {"assertions", build_info().build_type != "release"},
                      {"sanitizers", sanitizers()}};
  return context;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/state_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/units.h"

namespace dsn {
namespace {

std::string boot_id() {
  std::string text;
  return sysfs::read_text("/proc/sys/kernel/random/boot_id", text) == 0 ? text : std::string();
}

// Field 22 of /proc/PID/stat: together with the number it names a process for good. 0: no such process.
std::int64_t start_ticks_of(std::int64_t pid) {
  std::string stat;
  if (sysfs::read_text(fmt::format("/proc/{}/stat", pid), stat) != 0) return 0;
  // The second field is the program's name in brackets, which may hold anything.
  std::size_t at = stat.rfind(')');
  if (at == std::string::npos) return 0;
  for (int field = 2; field < 22; ++field) {
    at = stat.find(' ', at + 1);
    if (at == std::string::npos) return 0;
  }
  std::int64_t ticks = 0;
  std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), ticks);
  return ticks;
}

Json to_json(const KnobSettings& knob) {
  Json json = {{"kind", knob.kind == sysfs::KnobKind::cpufreq ? "cpufreq" : "devfreq"},
               {"name", knob.name},
               {"governor", knob.governor},
               {"min_freq_hz", knob.min_hz},
               {"max_freq_hz", knob.max_hz},
               {"moves", knob.moves_limits ? "limits" : "governor"}};
  if (knob.set_hz > 0) json["set_freq_hz"] = knob.set_hz;
  if (!knob.tunables.empty()) {
    json["tunables"] = Json::array();
    for (const auto& [file, value] : knob.tunables)
      json["tunables"].push_back({{"file", file}, {"value", value}});
  }
  return json;
}

// A name that leads out of its folder would write somewhere else, as root.
std::string plain_name(const JsonView& json, bool with_folders) {
  std::string name = json.text();
  const bool parts = name.find("..") != std::string::npos || name.empty() || name.front() == '/';
  if (parts || (!with_folders && name.find('/') != std::string::npos)) json.fail("a name below /sys");
  return name;
}

KnobSettings parse_knob(const JsonView& json) {
  constexpr std::int64_t kHighest = 1000000000000;
  KnobSettings knob;
  knob.kind = json["kind"].text() == "cpufreq" ? sysfs::KnobKind::cpufreq : sysfs::KnobKind::devfreq;
  knob.name = plain_name(json["name"], false);
  knob.governor = json["governor"].text();
  knob.min_hz = json["min_freq_hz"].integer(0, kHighest);
  knob.max_hz = json["max_freq_hz"].integer(0, kHighest);
  knob.moves_limits = json["moves"].text() == "limits";
  if (json.has("set_freq_hz")) knob.set_hz = json["set_freq_hz"].integer(0, kHighest);
  if (json.has("tunables")) {
    for (std::size_t i = 0; i < json["tunables"].size(); ++i) {
      const JsonView row = json["tunables"][i];
      const std::string file = plain_name(row["file"], true);
      if (file.rfind("sys/devices/system/cpu/cpufreq/", 0) != 0) row["file"].fail("a file of cpufreq");
      knob.tunables.emplace_back(file, row["value"].text());
    }
  }
  return knob;
}

}  // namespace

StateOwner this_process() {
  const auto pid = static_cast<std::int64_t>(::getpid());
  return {pid, start_ticks_of(pid), boot_id()};
}

bool is_running(const StateOwner& owner) {
  return owner.boot_id == boot_id() && owner.start_ticks > 0 &&
         start_ticks_of(owner.pid) == owner.start_ticks;
}

std::optional<FrequencyState> read_state(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  FrequencyState state;
  state.document = read_document(path, "dsn.frequencies");
  const JsonView json(state.document, path.string());
  state.owner.pid = json["owner"]["pid"].integer(1, std::int64_t{1} << 40);
  state.owner.start_ticks = json["owner"]["start_ticks"].integer(0, std::int64_t{1} << 60);
  state.owner.boot_id = json["owner"]["boot_id"].text();
  for (std::size_t i = 0; i < json["knobs"].size(); ++i) state.knobs.push_back(parse_knob(json["knobs"][i]));
  return state;
}

void write_state(const fs::path& path, const std::vector<KnobSettings>& knobs) {
  std::error_code made;  // what it fails with shows when the file is written
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), made);
  const StateOwner owner = this_process();
  Json json = measured_envelope("dsn.frequencies", std::nullopt);
  json["owner"] = {{"pid", owner.pid}, {"start_ticks", owner.start_ticks}, {"boot_id", owner.boot_id}};
  json["knobs"] = Json::array();
  for (const KnobSettings& knob : knobs) json["knobs"].push_back(to_json(knob));
  write_file_atomic(path, dump_json(json));
}

std::string describe(const KnobSettings& settings) {
  std::string text = settings.governor;
  if (settings.set_hz > 0)
    text += fmt::format(" at {}", format_frequency(static_cast<double>(settings.set_hz)));
  if (!settings.moves_limits) return text;
  text += ", " + format_frequency(static_cast<double>(settings.min_hz)) + " to ";
  return text + (settings.max_hz > 0 ? format_frequency(static_cast<double>(settings.max_hz)) : "no limit");
}

}  // namespace dsn

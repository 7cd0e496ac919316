// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/trace_import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "dsn/core/error.h"
#include "dsn/core/random.h"
#include "dsn/replay/import_parts.h"
#include "dsn/replay/trace.h"

namespace dsn {
namespace {

using Importer = Json (*)(const fs::path&, const ImportOptions&);
constexpr std::pair<const char*, Importer> kImporters[] = {
    {"csv", import_csv},         {"azure2019", import_azure2019}, {"azure2021", import_azure2021},
    {"loadgen", import_loadgen}, {"rt-app", import_rt_app},       {"run-log", import_run_log}};

// Microseconds are finer than any of these recordings and keep files small.
double rounded(double seconds) {
  return std::round(seconds * 1e6) / 1e6;
}

// What an application is asked for changes where its arrivals' targets do.
void add_targets(const std::string& name, const std::vector<Arrived>& arrived, Json& task, Json& events) {
  double target = 0;
  for (const Arrived& a : arrived) {
    if (a.target_s == 0 || a.target_s == target) continue;
    if (target == 0) {
      task["target_s"] = a.target_s;
    } else {
      events.push_back({{"at_s", rounded(a.at_s)}, {"set", {{"task", name}, {"target_s", a.target_s}}}});
    }
    target = a.target_s;
  }
}

void thin(ArrivedTasks& tasks, double length_s, const ImportOptions& options, const std::string& file) {
  std::size_t count = 0;
  for (const auto& [name, arrived] : tasks) count += arrived.size();
  const double rate = static_cast<double>(count) / length_s;
  const double keep = *options.mean_rate_hz / rate;
  if (keep > 1 + 1e-9) {
    throw Error(
        ErrorCode::bad_usage,
        fmt::format(
            "{}: found {:.4g} arrivals per second, expected at least the mean rate asked for ({:.4g})", file,
            rate, *options.mean_rate_hz),
        "compress time more");
  }
  for (auto& [name, arrived] : tasks) {
    Rng rng = Rng::stream(options.seed, "thin/" + name);
    std::erase_if(arrived, [&](const Arrived&) { return rng.uniform() >= keep; });
  }
}

}  // namespace

Lines::Lines(const fs::path& path) : file_(path.string()), in_(path, std::ios::binary) {
  if (in_ && fs::is_regular_file(path)) return;
  throw Error(fs::exists(path) ? ErrorCode::io : ErrorCode::not_found,
              fmt::format("{}: cannot be read", file_));
}

bool Lines::next(std::string& line) {
  line.clear();
  ++number_;
  for (int c = in_.get(); c != std::char_traits<char>::eof(); c = in_.get()) {
    if (c == '\n') {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return true;
    }
    line.push_back(static_cast<char>(c));
    if (line.size() > kLongest)
      fail(fmt::format("found more than {} bytes, expected a shorter line", kLongest));
  }
  return !line.empty();
}

void Lines::fail(const std::string& found_and_expected) const {
  throw Error(ErrorCode::bad_input, fmt::format("{}: line {}: {}", file_, number_, found_and_expected));
}

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  while (true) {
    const std::size_t comma = line.find(',');
    std::string_view cell = line.substr(0, comma);
    while (!cell.empty() && cell.front() == ' ') cell.remove_prefix(1);
    while (!cell.empty() && cell.back() == ' ') cell.remove_suffix(1);
    if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
    cells.push_back(cell);
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

double number_in(std::string_view cell, const Lines& lines, std::string_view what) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value))
    lines.fail(fmt::format("found '{}', expected {}", cell.substr(0, 40), what));
  return value;
}

int column_of(const std::vector<std::string_view>& header, std::string_view name) {
  const auto at = std::find(header.begin(), header.end(), name);
  return at == header.end() ? -1 : static_cast<int>(at - header.begin());
}

void check_count(std::size_t count, const std::string& file) {
  if (count <= kMaxImported) return;
  throw Error(ErrorCode::bad_input,
              fmt::format("{}: found more than {} arrivals, expected at most that many", file, kMaxImported),
              "ask for a mean rate, or select one function");
}

Json trace_frame(double duration_s, const ImportOptions& options, const std::vector<std::string>& warnings) {
  Json json = {{"schema", "dsn.trace"},
               {"schema_version", 1},
               {"tool", tool_info()},
               {"warnings", warnings},
               {"global", {{"duration_s", duration_s}, {"seed", options.seed}}},
               {"tasks", Json::object()}};
  if (!options.platform.empty()) json["platform"] = options.platform;
  return json;
}

Json app_task(const ImportOptions& options) {
  Json task = {{"target_s", options.target_s}, {"probability", options.probability}};
  if (!options.bundle.empty()) {
    task["bundle"] = options.bundle;
  } else {
    task["family"] = options.family;
    task["lut"] = options.lut;
  }
  if (options.min_accuracy > 0) task["min_accuracy"] = options.min_accuracy;
  if (!options.on_overrun.empty()) task["on_overrun"] = options.on_overrun;
  return task;
}

Json arrivals_trace(ArrivedTasks tasks, double length_s, const ImportOptions& options,
                    const std::string& file, std::vector<std::string> warnings) {
  std::erase_if(tasks, [](const auto& task) { return task.second.empty(); });
  if (tasks.empty())
    throw Error(ErrorCode::bad_input, fmt::format("{}: found no arrival, expected at least one", file));
  double first = tasks.begin()->second.front().at_s, last = first;
  std::size_t count = 0;
  for (auto& [name, arrived] : tasks) {
    std::stable_sort(arrived.begin(), arrived.end(),
                     [](const Arrived& a, const Arrived& b) { return a.at_s < b.at_s; });
    first = std::min(first, arrived.front().at_s);
    last = std::max(last, arrived.back().at_s);
    count += arrived.size();
  }
  if (length_s == 0) {
    length_s = last - first;
    length_s += length_s > 0 ? length_s / static_cast<double>(count) : options.target_s * options.compress;
  } else {
    first = 0;
  }
  for (auto& [name, arrived] : tasks) {
    for (Arrived& a : arrived) a.at_s = (a.at_s - first) / options.compress;
  }
  length_s = std::max(rounded(length_s / options.compress), 1e-5);
  if (options.mean_rate_hz) thin(tasks, length_s, options, file);

  Json json = trace_frame(length_s, options, warnings);
  Json events = Json::array();
  for (const auto& [name, arrived] : tasks) {
    Json task = app_task(options);
    add_targets(name, arrived, task, events);
    Json times = Json::array(), factors = Json::array();
    bool known = false;
    for (const Arrived& a : arrived) {
      const double at = rounded(a.at_s);
      if (at >= length_s) continue;  // rounding only
      times.push_back(at);
      factors.push_back(a.factor > 0 ? a.factor : 1.0);
      known = known || a.factor > 0;
    }
    Json arrivals = {{"process", "recorded"}, {"times_s", std::move(times)}};
    if (known) arrivals["factors"] = std::move(factors);
    task["phases"] = {{{"arrivals", std::move(arrivals)}}};
    json["tasks"][name] = std::move(task);
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const Json& a, const Json& b) { return a["at_s"] < b["at_s"]; });
  if (!events.empty()) json["events"] = std::move(events);
  return json;
}

std::vector<std::string> import_formats() {
  std::vector<std::string> names;
  for (const auto& [name, importer] : kImporters) names.emplace_back(name);
  return names;
}

Json import_trace(const std::string& format, const fs::path& path, const ImportOptions& options) {
  if (options.bundle.empty() == (options.family.empty() || options.lut.empty()))
    throw Error(ErrorCode::bad_usage, "a trace's application needs either a bundle, or a family and its lut");
  if (!(options.compress > 0) || !std::isfinite(options.compress))
    throw Error(ErrorCode::bad_usage,
                fmt::format("compress: found {}, expected a number above 0", options.compress));
  for (const auto& [name, importer] : kImporters) {
    if (format != name) continue;
    Json json = importer(path, options);
    (void)parse_trace(json, fmt::format("trace made of {}", path.string()), ".");
    return json;
  }
  throw Error(ErrorCode::bad_usage, fmt::format("unknown format '{}'", format),
              fmt::format("there are {}", fmt::join(import_formats(), ", ")));
}

}  // namespace dsn

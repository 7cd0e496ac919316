// SPDX-License-Identifier: Apache-2.0
#include "cli/status_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "cli/table.h"
#include "cli/terminal.h"
#include "dsn/core/units.h"

namespace dsn::cli {
namespace {

// How much is shown: everything, or what an ever narrower terminal has room for.
enum class Room { wide, medium, narrow };

double number_or(const Json& json, const char* key, double otherwise) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : otherwise;
}

std::string shown(const Json& json, const char* key, std::string (*format)(double)) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? format(found->get<double>()) : "-";
}

std::string degrees(double celsius) {
  return fmt::format("{:.0f} °C", celsius);
}

std::string cores(double count) {
  return fmt::format("{:.1f}", count);
}

// What happened between two statuses; since the beginning where there is no earlier one.
struct Recent {
  double arrivals = 0, met = 0, completed = 0, latency_sum_s = 0;
};
double latency_sum(const Json& app) {
  return number_or(app, "latency_mean_s", 0) * number_or(app, "completed", 0);
}
Recent recent_of(const Json& app, const Json* before) {
  const auto since = [&](const char* key) {
    return number_or(app, key, 0) - (before != nullptr ? number_or(*before, key, 0) : 0);
  };
  return {since("arrivals"), since("met"), since("completed"),
          latency_sum(app) - (before != nullptr ? latency_sum(*before) : 0)};
}

std::string state_of(const Json& app) {
  if (app["failed"].get<bool>()) return "failed";
  if (app["paused"].get<bool>()) return "paused";
  if (!app["active"].get<bool>()) return "idle";
  return app["feasible"].get<bool>() ? "" : "cannot keep all";
}

std::string apps_table(const Json& now, const Json& earlier, Room room) {
  Table table;
  table.column("app", Table::Align::left);
  table.column("level");
  if (room != Room::narrow) table.column("accuracy");
  table.column("latency");
  table.column("target");
  table.column("met");
  if (room != Room::narrow) table.column("slowdown");
  if (room == Room::wide) table.column("met in all");
  if (room == Room::wide) table.column("on", Table::Align::left);
  table.column("", Table::Align::left);
  for (std::size_t i = 0; i < now["apps"].size(); ++i) {
    const Json& app = now["apps"][i];
    const bool has_earlier = earlier.is_object() && i < earlier["apps"].size();
    const Recent recent = recent_of(app, has_earlier ? &earlier["apps"][i] : nullptr);
    std::vector<std::string> row{app["name"].get<std::string>(), fmt::format("{}", app["level"].get<int>())};
    if (room != Room::narrow) row.push_back(shown(app, "level_accuracy", format_percent));
    row.push_back(recent.completed > 0 ? format_duration(recent.latency_sum_s / recent.completed) : "-");
    row.push_back(format_duration(app["target_s"].get<double>()));
    row.push_back(recent.arrivals > 0 ? format_percent(recent.met / recent.arrivals) : "-");
    if (room != Room::narrow) row.push_back(fmt::format("{:.2f}", app["slowdown"].get<double>()));
    if (room == Room::wide) row.push_back(shown(app, "met_share", format_percent));
    if (room == Room::wide) row.push_back(app.value("placement", ""));
    row.push_back(state_of(app));
    table.row(std::move(row));
  }
  return table.plain();
}

std::string clusters_table(const Json& now, Room room) {
  Table table;
  table.column("cluster", Table::Align::left);
  table.column("OPP");
  table.column("frequency");
  table.column("power");
  table.column("temp.");
  if (room != Room::narrow) table.column("other work, cores");
  if (room == Room::wide) table.column("set by", Table::Align::left);
  for (const Json& cluster : now["clusters"]) {
    std::vector<std::string> row{cluster["name"].get<std::string>(),
                                 fmt::format("{}", cluster["opp"].get<int>()),
                                 shown(cluster, "freq_hz", format_frequency),
                                 shown(cluster, "power_w", format_power), shown(cluster, "temp_c", degrees)};
    if (room != Room::narrow) row.push_back(shown(cluster, "others_load", cores));
    if (room == Room::wide) row.push_back(cluster["held"].get<bool>() ? "dsn" : "governor");
    table.row(std::move(row));
  }
  return table.plain();
}

std::string heading(const Json& now) {
  if (!now.contains("policy")) return "the run has not begun\n";
  std::string text = now["running"].get<bool>() ? "" : "ended; ";
  const double at_s = number_or(now, "now_s", -1);
  text += at_s < 0 ? "warming up" : fmt::format("{:.1f} s", at_s);
  text += fmt::format(", policy {}", now["policy"].get<std::string>());
  const Json& decisions = now["decisions"];
  text += fmt::format(", {} decisions", decisions["count"].get<std::int64_t>());
  if (const auto missing = decisions["undecided"].get<std::int64_t>(); missing > 0)
    text += fmt::format(", {} missing", missing);
  if (now["power_w"].is_number()) text += fmt::format(", {}", format_power(now["power_w"].get<double>()));
  return text + '\n';
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

std::vector<std::string> status_lines(const Json& now, const Json& earlier, std::size_t columns) {
  std::vector<std::string> lines;
  for (const Room room : {Room::wide, Room::medium, Room::narrow}) {
    std::string text = heading(now);
    if (!now["apps"].empty()) text += apps_table(now, earlier, room);
    if (!now["clusters"].empty()) text += clusters_table(now, room);
    lines = lines_of(text);
    const bool fits = std::all_of(lines.begin(), lines.end(),
                                  [&](const std::string& line) { return display_width(line) <= columns; });
    if (fits) return lines;
  }
  for (std::string& line : lines) line = std::string(clip(line, columns));
  return lines;
}

}  // namespace dsn::cli

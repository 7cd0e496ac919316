// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/point_series.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "dsn/core/error.h"
#include "dsn/profile/lut.h"
#include "dsn/search/family.h"

namespace dsn {
namespace {

constexpr double kLongest = 1e9;  // seconds or milliseconds

double above_zero(const JsonView& json) {
  const double value = json.number(0, kLongest);
  if (value <= 0) json.fail("a latency above 0");
  return value;
}

SeriesPoint point_of(const JsonView& json) {
  SeriesPoint point;
  point.accuracy = json.has("accuracy") ? json["accuracy"].number(0, 1) : json["top1"].number(0, 100) / 100;
  if (json.has("latency_s")) {
    point.latency_s = above_zero(json["latency_s"]);
  } else if (json.has("latency_ms")) {
    point.latency_s = above_zero(json["latency_ms"]) * 1e-3;
  }
  if (json.has("config")) point.config = json["config"].json();
  return point;
}

bool is_series(const Json& json) {
  return json.is_array() && !json.empty() && std::all_of(json.begin(), json.end(), [](const Json& row) {
           return row.is_object() && (row.contains("top1") || row.contains("accuracy"));
         });
}

void collect(const JsonView& json, const std::string& name, std::vector<PointSeries>& found) {
  if (is_series(json.json())) {
    PointSeries& series = found.emplace_back();
    series.name = name;
    series.accuracy_is = series.latency_is = "as published";
    for (std::size_t i = 0; i < json.size(); ++i) series.points.push_back(point_of(json[i]));
  } else if (json.json().is_object()) {
    for (const auto& [key, value] : json.json().items())
      collect(json[key], name.empty() ? key : name + "/" + key, found);
  }
}

bool is_family(const Json& document) {
  return document.is_object() && document.value("schema", Json()) == "dsn.family";
}

std::vector<PointSeries> of_family(const Json& document, const std::string& file) {
  const Family family = Family::parse(document, file);
  const SearchSpace space = SearchSpace::parse(family.space_document, file);
  std::vector<PointSeries> found(1);
  found[0].name = "levels";
  found[0].accuracy_is = to_string(family.levels.front().accuracy_origin);
  found[0].latency_is = "predicted";
  for (const Level& level : family.levels) {
    const bool timed = level.predicted_latency_s > 0;
    found[0].points.push_back({level.accuracy,
                               timed ? std::optional<double>(level.predicted_latency_s) : std::nullopt,
                               space.to_json(level.config)});
  }
  const JsonView json(document, file);
  if (!json.has("front")) return found;
  PointSeries front;
  front.name = "front";
  front.latency_is = "predicted";
  const JsonView rows = json["front"];
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const JsonView row = rows[i];
    if (!row["on_front"].boolean()) continue;
    for (const char* key : {"final_accuracy", "accuracy", "calibrated_accuracy", "predicted_accuracy"}) {
      if (!row.has(key)) continue;
      const std::string kind = std::string_view(key) == "calibrated_accuracy"  ? "predicted, calibrated"
                               : std::string_view(key) == "predicted_accuracy" ? "predicted"
                                                                               : "measured";
      if (front.accuracy_is.find(kind) == std::string::npos)
        front.accuracy_is += (front.accuracy_is.empty() ? "" : " or ") + kind;
      front.points.push_back({row[key].number(), above_zero(row["latency_s"]), row["config"].json()});
      break;
    }
  }
  if (!front.points.empty()) found.push_back(std::move(front));
  return found;
}

// Each level's row of `lut` at `point`; empty when one has none.
std::vector<const LutEntry*> rows_at(const Family& family, const Lut& lut, const OperatingPoint& point) {
  std::vector<const LutEntry*> rows;
  for (const Level& level : family.levels) {
    const LutEntry* entry = lut.level_entry(level.config, point);
    if (entry == nullptr) return {};
    rows.push_back(entry);
  }
  return rows;
}

// Replaces what was predicted of levels by the rows of the table beside the family, where all levels have
// one: at the cluster and threads that the search was for, else where the slowest level is fastest.
void take_measured(PointSeries& levels, const Json& document, const std::string& file) {
  const Family family = Family::parse(document, file);
  const fs::path path = fs::path(file).parent_path() / family.lut_file;
  if (family.lut_file.empty() || !fs::exists(path)) return;
  const Lut lut = Lut::load(path);
  if (lut.space_sha256 != family.space_sha256)
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: found a look-up table of another space than {}", path.string(), file));
  const Json search = document.value("search", Json::object());
  std::vector<const LutEntry*> best;
  OperatingPoint best_at;
  for (const OperatingPoint& point : lut.points()) {
    if (point.batch != 1 || search.value("cluster", point.cluster) != point.cluster ||
        search.value("threads", point.threads) != point.threads)
      continue;
    auto rows = rows_at(family, lut, point);
    if (rows.empty() || (!best.empty() && rows.back()->latency_s >= best.back()->latency_s)) continue;
    best = std::move(rows);
    best_at = point;
  }
  if (best.empty()) return;
  levels.latency_is = fmt::format("{} at ({})", to_string(best.front()->latency_origin), describe(best_at));
  for (std::size_t i = 0; i < best.size(); ++i) levels.points[i].latency_s = best[i]->latency_s;
}

}  // namespace

std::vector<PointSeries> read_series(const Json& document, const std::string& file) {
  if (is_family(document)) {
    check_schema(document, "dsn.family", file);
    return of_family(document, file);
  }
  std::vector<PointSeries> found;
  collect(JsonView(document, file), "", found);
  if (found.empty()) {
    throw Error(
        ErrorCode::bad_input,
        fmt::format("{}: found no points, expected a dsn.family or arrays of objects with top1 or accuracy",
                    file));
  }
  return found;
}

std::vector<PointSeries> load_series(const std::string& file_and_name) {
  const auto hash = file_and_name.rfind('#');
  const std::string file = file_and_name.substr(0, hash);
  const Json document = read_json(file);
  std::vector<PointSeries> all = read_series(document, file);
  if (is_family(document)) take_measured(all.front(), document, file);
  if (hash == std::string::npos) return all;
  const std::string name = file_and_name.substr(hash + 1);
  std::vector<PointSeries> chosen;
  std::vector<std::string> names;
  for (PointSeries& series : all) {
    names.push_back(series.name);
    if (series.name == name || series.name.starts_with(name + "/")) chosen.push_back(std::move(series));
  }
  if (chosen.empty()) {
    throw Error(ErrorCode::not_found, fmt::format("{}: no series \"{}\"", file, name),
                fmt::format("it has: {}", fmt::join(names, ", ")));
  }
  return chosen;
}

}  // namespace dsn

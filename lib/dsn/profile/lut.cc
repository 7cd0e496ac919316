// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/lut.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/units.h"

namespace dsn {
namespace {

constexpr double kMaxFrequencyHz = 1e12;
constexpr int kMaxCount = 1 << 30;

std::string optional_text(const JsonView& json, std::string_view key) {
  return json.has(key) ? json[key].text() : std::string();
}

// An absent number is null with the reason beside it.
void put_optional(Json& row, const std::string& key, const std::optional<double>& value,
                  const std::string& reason) {
  if (value) {
    row[key] = *value;
  } else {
    row[key] = nullptr;
    row[key + "_reason"] = reason;
  }
}

Json entry_to_json(const LutEntry& entry, std::size_t point, bool with_energy) {
  Json row = {{"point", point},
              {"latency_s", entry.latency_s},
              {"mad_s", entry.mad_s},
              {"samples", entry.samples},
              {"latency_origin", to_string(entry.latency_origin)}};
  const std::string reason = entry.latency_origin == Origin::measured
                                 ? fmt::format("{} samples cannot carry it", entry.samples)
                                 : std::string("not given by the source");
  put_optional(row, "p90_s", entry.p90_s, reason);
  put_optional(row, "p99_s", entry.p99_s, reason);
  if (entry.energy_j) row["energy_origin"] = to_string(entry.energy_origin);
  if (entry.energy_j || with_energy)
    put_optional(row, "energy_j", entry.energy_j, "not measured at this point");
  if (!entry.note.empty()) row["note"] = entry.note;
  return row;
}

LutEntry entry_from_json(const JsonView& json) {
  LutEntry entry;
  entry.latency_s = json["latency_s"].number();
  if (entry.latency_s <= 0) json["latency_s"].fail("a latency above 0");
  const double lowest = 0, highest = 1e9;
  if (json.has("mad_s")) entry.mad_s = json["mad_s"].number(lowest, highest);
  if (json.has("p90_s")) entry.p90_s = json["p90_s"].number(lowest, highest);
  if (json.has("p99_s")) entry.p99_s = json["p99_s"].number(lowest, highest);
  if (json.has("samples")) entry.samples = static_cast<int>(json["samples"].integer(0, kMaxCount));
  entry.latency_origin = parse_origin(json["latency_origin"]);
  if (json.has("energy_j")) {
    entry.energy_j = json["energy_j"].number(lowest, highest);
    entry.energy_origin = parse_origin(json["energy_origin"]);
  }
  entry.note = optional_text(json, "note");
  return entry;
}

Json rows_to_json(const std::map<OperatingPoint, LutEntry>& at, const std::vector<OperatingPoint>& points,
                  bool with_energy) {
  Json rows = Json::array();
  for (const auto& [point, entry] : at) {
    const auto index = std::lower_bound(points.begin(), points.end(), point) - points.begin();
    rows.push_back(entry_to_json(entry, static_cast<std::size_t>(index), with_energy));
  }
  return rows;
}

std::map<OperatingPoint, LutEntry> rows_from_json(const JsonView& rows,
                                                  const std::vector<OperatingPoint>& points) {
  std::map<OperatingPoint, LutEntry> at;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const JsonView row = rows[i];
    const auto last = static_cast<std::int64_t>(points.size()) - 1;
    const auto index = static_cast<std::size_t>(row["point"].integer(0, last));
    if (!at.emplace(points[index], entry_from_json(row)).second) row["point"].fail("each point once per row");
  }
  return at;
}

OperatingPoint point_from_json(const JsonView& json, const Platform& platform) {
  OperatingPoint point;
  point.cluster = json["cluster"].text();
  const bool known = std::any_of(platform.clusters.begin(), platform.clusters.end(),
                                 [&](const Cluster& cluster) { return cluster.name == point.cluster; });
  if (!known) json["cluster"].fail(fmt::format("a cluster of platform \"{}\"", platform.name));
  point.threads = static_cast<int>(json["threads"].integer(1, 1 << 16));
  if (json.has("freq_hz")) point.freq_hz = json["freq_hz"].number(1, kMaxFrequencyHz);
  point.batch = static_cast<int>(json["batch"].integer(1, 1 << 20));
  return point;
}

Json point_to_json(const OperatingPoint& point) {
  Json json = {{"cluster", point.cluster}, {"threads", point.threads}, {"batch", point.batch}};
  put_optional(json, "freq_hz", point.freq_hz > 0 ? std::optional<double>(point.freq_hz) : std::nullopt,
               "this machine does not say its frequency");
  return json;
}

template <typename Map>
std::string list_points(const Map& at) {
  std::string text;
  for (const auto& [point, entry] : at) text += (text.empty() ? "" : "; ") + describe(point);
  return text.empty() ? "none" : text;
}

}  // namespace

std::string describe(const OperatingPoint& point) {
  std::string text =
      fmt::format("{}, {} thread{}", point.cluster, point.threads, point.threads == 1 ? "" : "s");
  if (point.freq_hz > 0) text += ", " + format_frequency(point.freq_hz);
  if (point.batch != 1) text += fmt::format(", batch {}", point.batch);
  return text;
}

std::string unit_key_at(const std::string& key, int resolution) {
  return fmt::format("{}@r{}", key, resolution);
}

Lut Lut::load(const fs::path& path) {
  const Json document = read_document(path, "dsn.lut");
  return parse(document, path.string());
}

Lut Lut::parse(const Json& document, const std::string& file) {
  const JsonView json(document, file);
  Lut lut;
  lut.space_document = json["space"].json();
  const SearchSpace space = SearchSpace::parse(lut.space_document, file + " (/space)");
  lut.space_sha256 = json["space_sha256"].text();
  if (space.sha256() != lut.space_sha256) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: /space_sha256: found {}, but the space in this file has {}", file,
                            lut.space_sha256, space.sha256()));
  }
  lut.platform_document = json["platform"].json();
  const Platform platform = parse_platform(lut.platform_document, file + " (/platform)");
  lut.platform_sha256 = json["platform_sha256"].text();
  if (platform.sha256 != lut.platform_sha256) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: /platform_sha256: found {}, but the platform in this file has {}", file,
                            lut.platform_sha256, platform.sha256));
  }
  lut.engine = json["engine"].text();
  lut.device = json["device"].text();
  lut.energy_source = optional_text(json, "energy_source");
  lut.energy_reason = optional_text(json, "energy_source_reason");

  std::vector<OperatingPoint> points;
  const JsonView point_rows = json["points"];
  for (std::size_t i = 0; i < point_rows.size(); ++i) {
    const JsonView row = point_rows[i];
    points.push_back(point_from_json(row, platform));
    if (std::count(points.begin(), points.end(), points.back()) > 1) row.fail("each operating point once");
    if (!row.has("correction")) continue;
    const JsonView fit = row["correction"];
    Correction& correction = lut.corrections[points.back()];
    correction.scale = fit["scale"].number();
    if (correction.scale <= 0) fit["scale"].fail("a scale above 0");
    correction.offset_s = fit["offset_s"].number();
    correction.mape = fit["mape"].number(0, 1e6);
    correction.count = static_cast<int>(fit["count"].integer(1, kMaxCount));
  }
  const JsonView units = json["units"];
  for (std::size_t i = 0; i < units.size(); ++i) {
    const std::string key = units[i]["key"].text();
    if (!lut.units.emplace(key, rows_from_json(units[i]["at"], points)).second)
      units[i]["key"].fail("each unit once");
  }
  const JsonView levels = json["levels"];
  for (std::size_t i = 0; i < levels.size(); ++i) {
    LutLevel level{space.canonical(space.from_json(levels[i]["config"])),
                   rows_from_json(levels[i]["at"], points)};
    for (const LutLevel& other : lut.levels) {
      if (other.config == level.config) levels[i]["config"].fail("each sub-network once");
    }
    lut.levels.push_back(std::move(level));
  }
  return lut;
}

Json Lut::to_json() const {
  const SearchSpace space = SearchSpace::parse(space_document, "LUT");
  const std::vector<OperatingPoint> all = points();
  const bool with_energy = !energy_source.empty();
  Json json = {{"space", space_document},
               {"space_sha256", space_sha256},
               {"platform", platform_document},
               {"platform_sha256", platform_sha256},
               {"engine", engine},
               {"device", device}};
  if (with_energy) {
    json["energy_source"] = energy_source;
  } else {
    json["energy_source"] = nullptr;
    json["energy_source_reason"] = energy_reason.empty() ? "energy was not measured" : energy_reason;
  }
  json["points"] = Json::array();
  for (const OperatingPoint& point : all) {
    Json row = point_to_json(point);
    if (const auto it = corrections.find(point); it != corrections.end()) {
      const Correction& fit = it->second;
      row["correction"] = {
          {"scale", fit.scale}, {"offset_s", fit.offset_s}, {"mape", fit.mape}, {"count", fit.count}};
    }
    json["points"].push_back(std::move(row));
  }
  json["units"] = Json::array();
  for (const auto& [key, at] : units)
    json["units"].push_back({{"key", key}, {"at", rows_to_json(at, all, with_energy)}});
  json["levels"] = Json::array();
  for (const LutLevel& level : levels) {
    json["levels"].push_back(
        {{"config", space.to_json(level.config)}, {"at", rows_to_json(level.at, all, with_energy)}});
  }
  return json;
}

std::vector<OperatingPoint> Lut::points() const {
  std::set<OperatingPoint> all;
  const auto collect = [&](const std::map<OperatingPoint, LutEntry>& at) {
    for (const auto& [point, entry] : at) all.insert(point);
  };
  for (const auto& [key, at] : units) collect(at);
  for (const LutLevel& level : levels) collect(level.at);
  return {all.begin(), all.end()};
}

void Lut::require_space(const SearchSpace& space) const {
  if (space.sha256() == space_sha256) return;
  throw Error(
      ErrorCode::mismatch,
      fmt::format("this LUT is of another search space: its space_sha256 is {}, but space \"{}\" has {}",
                  space_sha256, space.name(), space.sha256()),
      "measure this space with `dsn profile`");
}

const LutEntry& Lut::unit_entry(const Unit& unit, int resolution, const OperatingPoint& point) const {
  const std::string key = unit.key();
  auto row = units.find(key);
  if (row == units.end()) row = units.find(unit_key_at(key, resolution));
  if (row == units.end()) {
    throw Error(
        ErrorCode::not_found,
        fmt::format("the LUT has no unit \"{}\" at resolution {} ({} units)", key, resolution, units.size()),
        "measure the whole space with `dsn profile`");
  }
  const auto entry = row->second.find(point);
  if (entry == row->second.end()) {
    throw Error(ErrorCode::not_found,
                fmt::format("the LUT has no cost of unit \"{}\" at ({}); measured at: {}", key,
                            describe(point), list_points(row->second)));
  }
  return entry->second;
}

double Lut::unit_sum(const Network& network, const OperatingPoint& point) const {
  double sum = 0;
  for (const Unit& unit : network.units) sum += unit_entry(unit, network.resolution, point).latency_s;
  return sum;
}

double Lut::predict_latency(const Network& network, const OperatingPoint& point) const {
  const double sum = unit_sum(network, point);
  const auto fit = corrections.find(point);
  return fit == corrections.end() ? sum : fit->second.scale * sum + fit->second.offset_s;
}

const LutEntry* Lut::level_entry(const SubnetConfig& config, const OperatingPoint& point) const noexcept {
  for (const LutLevel& level : levels) {
    if (!(level.config == config)) continue;
    const auto entry = level.at.find(point);
    return entry == level.at.end() ? nullptr : &entry->second;
  }
  return nullptr;
}

}  // namespace dsn

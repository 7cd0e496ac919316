// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/lut.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/units.h"
#include "dsn/profile/lut_rows.h"

namespace dsn {
namespace {

std::string optional_text(const JsonView& json, std::string_view key) {
  return json.has(key) ? json[key].text() : std::string();
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

std::string_view to_string(CoLoad::Kind kind) noexcept {
  return kind == CoLoad::Kind::compute ? "compute" : "memory";
}

CoLoad::Kind parse_load_kind(const std::string& text) {
  for (const CoLoad::Kind kind : {CoLoad::Kind::compute, CoLoad::Kind::memory})
    if (to_string(kind) == text) return kind;
  throw Error(ErrorCode::bad_usage,
              fmt::format("kind of load: found \"{}\", expected \"compute\" or \"memory\"", text));
}

std::string describe(const CoLoad& load) {
  return fmt::format("{} {} worker{}", load.workers, to_string(load.kind), load.workers == 1 ? "" : "s");
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
    if (row.has("correction")) lut.corrections[points.back()] = correction_from_json(row["correction"]);
    if (row.has("speed")) lut.speeds[points.back()] = speed_from_json(row["speed"]);
  }
  std::vector<CoLoad> loads;
  for (std::size_t i = 0; json.has("loads") && i < json["loads"].size(); ++i) {
    loads.push_back(load_from_json(json["loads"][i]));
    if (std::count(loads.begin(), loads.end(), loads.back()) > 1) json["loads"][i].fail("each load once");
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
                   rows_from_json(levels[i]["at"], points),
                   {},
                   false};
    if (levels[i].has("beside")) level.beside = rows_from_json(levels[i]["beside"], points, loads);
    if (levels[i].has("held_out")) level.held_out = levels[i]["held_out"].boolean();
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
    if (const auto it = corrections.find(point); it != corrections.end())
      row["correction"] = dsn::to_json(it->second);
    if (const auto it = speeds.find(point); it != speeds.end()) row["speed"] = dsn::to_json(it->second);
    json["points"].push_back(std::move(row));
  }
  const std::vector<CoLoad> co_loads = all_loads(levels);
  if (!co_loads.empty()) {
    json["loads"] = Json::array();
    for (const CoLoad& load : co_loads) json["loads"].push_back(dsn::to_json(load));
  }
  json["units"] = Json::array();
  for (const auto& [key, at] : units)
    json["units"].push_back({{"key", key}, {"at", rows_to_json(at, all, with_energy)}});
  json["levels"] = Json::array();
  for (const LutLevel& level : levels) {
    Json row = {{"config", space.to_json(level.config)}, {"at", rows_to_json(level.at, all, with_energy)}};
    if (!level.beside.empty()) row["beside"] = rows_to_json(level.beside, all, co_loads);
    if (level.held_out) row["held_out"] = true;
    json["levels"].push_back(std::move(row));
  }
  return json;
}

std::vector<OperatingPoint> Lut::points() const {
  std::set<OperatingPoint> all;
  const auto collect = [&](const std::map<OperatingPoint, LutEntry>& at) {
    for (const auto& [point, entry] : at) all.insert(point);
  };
  for (const auto& [key, at] : units) collect(at);
  for (const LutLevel& level : levels) {
    collect(level.at);
    for (const auto& [key, entry] : level.beside) all.insert(key.first);
  }
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

std::vector<CoLoad> Lut::loads(const OperatingPoint& point) const {
  std::set<CoLoad> found;
  for (const LutLevel& level : levels)
    for (const auto& [key, entry] : level.beside)
      if (key.first == point) found.insert(key.second);
  return {found.begin(), found.end()};
}

const LutEntry* Lut::beside_entry(const SubnetConfig& config, const OperatingPoint& point,
                                  const CoLoad& load) const noexcept {
  for (const LutLevel& level : levels) {
    if (!(level.config == config)) continue;
    for (const auto& [key, entry] : level.beside)
      if (key.second == load && key.first == point) return &entry;
    return nullptr;
  }
  return nullptr;
}

std::optional<Lut::Slowdown> Lut::slowdown(const SubnetConfig& config, const OperatingPoint& point,
                                           const CoLoad& load) const noexcept {
  const LutEntry *alone = level_entry(config, point), *beside = beside_entry(config, point, load);
  if (alone == nullptr || beside == nullptr) return std::nullopt;
  return Slowdown{beside->latency_s / alone->latency_s,
                  beside->mean_s.value_or(beside->latency_s) / alone->latency_s};
}

}  // namespace dsn

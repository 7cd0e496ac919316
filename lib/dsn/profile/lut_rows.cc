// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/lut_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "dsn/core/error.h"

namespace dsn {
namespace {

constexpr double kMaxFrequencyHz = 1e12;
constexpr double kMaxSpeed = 1e18;
constexpr int kMaxCount = 1 << 30;

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
  if (entry.mean_s) row["mean_s"] = *entry.mean_s;
  if (entry.speed > 0) row["speed"] = entry.speed;
  if (entry.set_aside > 0) row["set_aside"] = entry.set_aside;
  if (entry.temp_c) row["temp_c"] = *entry.temp_c;
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
  if (json.has("mean_s")) entry.mean_s = json["mean_s"].number(lowest, highest);
  if (json.has("speed")) entry.speed = json["speed"].number(lowest, highest);
  if (json.has("set_aside")) entry.set_aside = static_cast<int>(json["set_aside"].integer(0, kMaxCount));
  if (json.has("temp_c")) entry.temp_c = json["temp_c"].number(-273.15, 1e4);
  entry.latency_origin = parse_origin(json["latency_origin"]);
  if (json.has("energy_j")) {
    entry.energy_j = json["energy_j"].number(lowest, highest);
    entry.energy_origin = parse_origin(json["energy_origin"]);
  }
  if (json.has("note")) entry.note = json["note"].text();
  return entry;
}

template <typename T>
std::size_t index_of(const std::vector<T>& sorted, const T& wanted) {
  return static_cast<std::size_t>(std::lower_bound(sorted.begin(), sorted.end(), wanted) - sorted.begin());
}

template <typename T>
const T& named_by(const JsonView& index, const std::vector<T>& all) {
  return all[static_cast<std::size_t>(index.integer(0, static_cast<std::int64_t>(all.size()) - 1))];
}

}  // namespace

Json rows_to_json(const std::map<OperatingPoint, LutEntry>& at, const std::vector<OperatingPoint>& points,
                  bool with_energy) {
  Json rows = Json::array();
  for (const auto& [point, entry] : at)
    rows.push_back(entry_to_json(entry, index_of(points, point), with_energy));
  return rows;
}

Json rows_to_json(const std::map<std::pair<OperatingPoint, CoLoad>, LutEntry>& beside,
                  const std::vector<OperatingPoint>& points, const std::vector<CoLoad>& loads) {
  Json rows = Json::array();
  for (const auto& [key, entry] : beside) {
    rows.push_back(entry_to_json(entry, index_of(points, key.first), false));
    rows.back()["load"] = index_of(loads, key.second);
  }
  return rows;
}

std::map<OperatingPoint, LutEntry> rows_from_json(const JsonView& rows,
                                                  const std::vector<OperatingPoint>& points) {
  std::map<OperatingPoint, LutEntry> at;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!at.emplace(named_by(rows[i]["point"], points), entry_from_json(rows[i])).second)
      rows[i]["point"].fail("each point once per row");
  }
  return at;
}

std::map<std::pair<OperatingPoint, CoLoad>, LutEntry> rows_from_json(
    const JsonView& rows, const std::vector<OperatingPoint>& points, const std::vector<CoLoad>& loads) {
  std::map<std::pair<OperatingPoint, CoLoad>, LutEntry> beside;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const JsonView row = rows[i];
    const std::pair key{named_by(row["point"], points), named_by(row["load"], loads)};
    if (!beside.emplace(key, entry_from_json(row)).second) row.fail("each point and load once per row");
  }
  return beside;
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

Json to_json(const Lut::Correction& fit) {
  Json json = {{"scale", fit.scale}, {"offset_s", fit.offset_s}, {"mape", fit.mape}, {"count", fit.count}};
  if (fit.held_out > 0) {
    json["held_out"] = {
        {"count", fit.held_out}, {"mape", fit.held_out_mape}, {"kendall_tau", fit.held_out_tau}};
  }
  return json;
}

Lut::Correction correction_from_json(const JsonView& json) {
  Lut::Correction fit;
  fit.scale = json["scale"].number();
  if (fit.scale <= 0) json["scale"].fail("a scale above 0");
  fit.offset_s = json["offset_s"].number();
  fit.mape = json["mape"].number(0, 1e6);
  fit.count = static_cast<int>(json["count"].integer(1, kMaxCount));
  if (!json.has("held_out")) return fit;
  const JsonView held_out = json["held_out"];
  fit.held_out = static_cast<int>(held_out["count"].integer(1, kMaxCount));
  fit.held_out_mape = held_out["mape"].number(0, 1e6);
  fit.held_out_tau = held_out["kendall_tau"].number(-1, 1);
  return fit;
}

Json to_json(const Lut::Speed& speed) {
  return {{"own_per_s", speed.own_per_s},       {"p50_per_s", speed.p50_per_s},
          {"lowest_per_s", speed.lowest_per_s}, {"probes", speed.probes},
          {"slow_share", speed.slow_share},     {"waited_s", speed.waited_s}};
}

Lut::Speed speed_from_json(const JsonView& json) {
  Lut::Speed speed;
  speed.own_per_s = json["own_per_s"].number(1, kMaxSpeed);
  speed.p50_per_s = json["p50_per_s"].number(1, kMaxSpeed);
  speed.lowest_per_s = json["lowest_per_s"].number(1, kMaxSpeed);
  speed.probes = static_cast<int>(json["probes"].integer(1, kMaxCount));
  speed.slow_share = json["slow_share"].number(0, 1);
  speed.waited_s = json["waited_s"].number(0, 1e9);
  return speed;
}

Json to_json(const CoLoad& load) {
  return {{"kind", to_string(load.kind)}, {"workers", load.workers}};
}

CoLoad load_from_json(const JsonView& json) {
  return {parse_load_kind(json["kind"].text()), static_cast<int>(json["workers"].integer(1, 1 << 16))};
}

std::vector<CoLoad> all_loads(const std::vector<LutLevel>& levels) {
  std::set<CoLoad> found;
  for (const LutLevel& level : levels)
    for (const auto& [key, entry] : level.beside) found.insert(key.second);
  return {found.begin(), found.end()};
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/platform.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/file.h"

namespace dsn {

namespace {

// Names and ranges are the schema's (dsn.platform.json); what is checked here is what one value asks of
// another.

bool is_policy(std::string_view name) {
  constexpr std::string_view kPrefix = "policy";
  return name.size() > kPrefix.size() && name.substr(0, kPrefix.size()) == kPrefix &&
         name.find_first_not_of("0123456789", kPrefix.size()) == std::string_view::npos;
}

Opp parse_opp(const JsonView& json, const std::optional<Origin>& power_origin) {
  Opp opp;
  if (json.has("freq_hz")) opp.freq_hz = json["freq_hz"].number();
  if (json.has("voltage_v")) opp.voltage_v = json["voltage_v"].number();
  if (json.has("idle_power_w")) opp.idle_power_w = json["idle_power_w"].number();
  if (json.has("busy_power_w")) opp.busy_power_w = json["busy_power_w"].number();
  if (opp.idle_power_w.has_value() != opp.busy_power_w.has_value())
    json.fail("both idle_power_w and busy_power_w, or neither");
  if (opp.idle_power_w && *opp.busy_power_w < *opp.idle_power_w) {
    json["busy_power_w"].fail(fmt::format("at least idle_power_w, {}", *opp.idle_power_w));
  }
  if (opp.idle_power_w && !power_origin)
    json.fail("\"power\" with origin and source in the cluster, as this row has powers");
  opp.power_origin = power_origin.value_or(Origin::modelled);
  if (json.has("power_origin")) opp.power_origin = parse_origin(json["power_origin"]);
  return opp;
}

std::vector<Opp> parse_opps(const JsonView& json, const std::optional<Origin>& power_origin,
                            bool has_voltage) {
  std::vector<Opp> opps;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const Opp opp = parse_opp(json[i], power_origin);
    if (opp.freq_hz <= 0 && json.size() > 1)
      json[i]["freq_hz"].fail("a frequency: only a single operating point can have none");
    if (!opps.empty() && opp.freq_hz <= opps.back().freq_hz) {
      json[i]["freq_hz"].fail(
          fmt::format("more than the row before, {}: rows ascend in frequency", opps.back().freq_hz));
    }
    if (!opps.empty() && opp.idle_power_w.has_value() != opps.back().idle_power_w.has_value()) {
      json[i].fail("powers in every row of a cluster, or in none");
    }
    if (opp.voltage_v && !has_voltage)
      json[i]["voltage_v"].fail("\"voltage\" with origin and source in the cluster beside it");
    opps.push_back(opp);
  }
  return opps;
}

// The least certain one of its rows.
Origin weakest(const std::vector<Opp>& opps) {
  Origin worst = Origin::measured;
  for (const Opp& opp : opps) {
    if (opp.power_origin == Origin::modelled) return Origin::modelled;
    if (opp.power_origin == Origin::published) worst = Origin::published;
  }
  return worst;
}

Cluster parse_cluster(const JsonView& json) {
  Cluster cluster;
  cluster.name = json["name"].text();
  cluster.kind = json["kind"].text() == "gpu" ? ClusterKind::gpu : ClusterKind::cpu;
  if (json.has("knob")) cluster.knob = json["knob"].text();
  if (json.has("cpus")) cluster.cpus = json["cpus"].integers();
  std::sort(cluster.cpus.begin(), cluster.cpus.end());
  if (std::adjacent_find(cluster.cpus.begin(), cluster.cpus.end()) != cluster.cpus.end())
    json["cpus"].fail("each CPU once");
  if (cluster.kind == ClusterKind::gpu && !cluster.cpus.empty())
    json["cpus"].fail("no CPUs: this cluster is a GPU");
  if (cluster.kind == ClusterKind::cpu) {
    if (cluster.cpus.empty()) json.fail("\"cpus\": the CPU numbers of this cluster");
    for (const std::string& policy : split_knob(cluster.knob)) {
      if (!is_policy(policy)) json["knob"].fail("cpufreq policies, as \"policy0\" or \"policy0,policy2\"");
    }
  }
  if (json.has("transition_latency_s")) cluster.transition_latency_s = json["transition_latency_s"].number();
  std::optional<Origin> power_origin;
  if (json.has("power")) {
    power_origin = parse_origin(json["power"]["origin"]);
    cluster.power_source = json["power"]["source"].text();
  }
  cluster.opps = parse_opps(json["opps"], power_origin, json.has("voltage"));
  const bool powered = cluster.opps.front().idle_power_w.has_value();
  if (power_origin && !powered)
    json["opps"].fail("idle_power_w and busy_power_w in each row, as there is \"power\"");
  cluster.power_origin = powered ? weakest(cluster.opps) : Origin::modelled;
  return cluster;
}

std::vector<Cluster> parse_clusters(const JsonView& json) {
  std::vector<Cluster> clusters;
  std::set<std::string> names, knobs;
  std::set<int> cpus;
  for (std::size_t i = 0; i < json.size(); ++i) {
    Cluster cluster = parse_cluster(json[i]);
    if (!names.insert(cluster.name).second) json[i]["name"].fail("each cluster name once");
    for (const int cpu : cluster.cpus) {
      if (!cpus.insert(cpu).second)
        json[i]["cpus"].fail(fmt::format("each CPU in one cluster; {} is in two", cpu));
    }
    for (const std::string& knob : split_knob(cluster.knob)) {
      if (!knobs.insert(knob).second)
        json[i]["knob"].fail(fmt::format("each knob once; {} is there twice", knob));
    }
    clusters.push_back(std::move(cluster));
  }
  return clusters;
}

std::vector<std::pair<std::string, double>> parse_limits(const JsonView& json,
                                                         const std::vector<Cluster>& clusters) {
  std::vector<std::pair<std::string, double>> limits;
  for (const auto& [name, value] : json.json().items()) {
    const bool known = std::any_of(clusters.begin(), clusters.end(),
                                   [&, &key = name](const Cluster& c) { return c.name == key; });
    if (!known) json[name].fail("a cluster of this platform as the key");
    limits.emplace_back(name, json[name].number());
  }
  return limits;
}

std::vector<PowerMode> parse_modes(const JsonView& json, const std::vector<Cluster>& clusters) {
  std::vector<PowerMode> modes;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const JsonView row = json[i];
    PowerMode mode;
    mode.name = row["name"].text();
    for (const PowerMode& other : modes) {
      if (other.name == mode.name) row["name"].fail("each mode once");
    }
    mode.max_freq_hz = parse_limits(row["max_freq_hz"], clusters);
    if (row.has("min_freq_hz")) mode.min_freq_hz = parse_limits(row["min_freq_hz"], clusters);
    if (row.has("cpus_online")) mode.cpus_online = static_cast<int>(row["cpus_online"].integer(1, 4096));
    modes.push_back(std::move(mode));
  }
  return modes;
}

ThermalModel parse_thermal(const JsonView& json) {
  ThermalModel thermal;
  thermal.throttle_c = json["throttle_c"].number();
  if (json.has("model")) {
    const JsonView model = json["model"];
    thermal.ambient_c = model["ambient_c"].number();
    thermal.resistance_c_per_w = model["resistance_c_per_w"].number();
    thermal.time_constant_s = model["time_constant_s"].number();
    if (thermal.throttle_c <= thermal.ambient_c) json["throttle_c"].fail("a temperature above ambient_c");
  }
  return thermal;
}

std::string identity(const Platform& platform) {
  Json what = {{"name", platform.name}, {"clusters", Json::array()}};
  for (const Cluster& cluster : platform.clusters) {
    Json freq_hz = Json::array();
    for (const Opp& opp : cluster.opps) freq_hz.push_back(opp.freq_hz);
    what["clusters"].push_back({{"name", cluster.name},
                                {"kind", cluster.kind == ClusterKind::gpu ? "gpu" : "cpu"},
                                {"cpus", cluster.cpus},
                                {"knob", cluster.knob},
                                {"freq_hz", std::move(freq_hz)}});
  }
  return sha256_hex(dump_json(what));
}

}  // namespace

std::string_view to_string(Origin origin) noexcept {
  switch (origin) {
    case Origin::measured:
      return "measured";
    case Origin::published:
      return "published";
    case Origin::modelled:
      break;
  }
  return "modelled";
}

Origin parse_origin(const JsonView& json) {
  const std::string text = json.text();
  for (const Origin origin : {Origin::measured, Origin::modelled, Origin::published}) {
    if (text == to_string(origin)) return origin;
  }
  json.fail("one of \"measured\", \"modelled\", \"published\"");
}

std::vector<std::string> split_knob(std::string_view knob) {
  std::vector<std::string> parts;
  while (!knob.empty()) {
    const std::size_t comma = std::min(knob.find(','), knob.size());
    parts.emplace_back(knob.substr(0, comma));
    knob.remove_prefix(std::min(comma + 1, knob.size()));
  }
  return parts;
}

int Platform::cluster_index(std::string_view cluster_name) const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < clusters.size(); ++i) {
    if (clusters[i].name == cluster_name) return static_cast<int>(i);
    names.push_back(clusters[i].name);
  }
  throw Error(ErrorCode::not_found, fmt::format("platform \"{}\" has no cluster '{}'", name, cluster_name),
              fmt::format("its clusters are: {}", fmt::join(names, ", ")));
}

Platform parse_platform(const Json& document, const std::string& file) {
  check_schema(document, "dsn.platform", file);
  const JsonView json(document, file);
  Platform platform;
  platform.document = document;
  platform.name = json["name"].text();
  platform.clusters = parse_clusters(json["clusters"]);
  if (json.has("power")) {
    platform.base_power_w = json["power"]["base_power_w"].number();
    platform.power_rail = json["power"]["rail"].text();
  }
  platform.power_known = json.has("power");
  for (std::size_t i = 0; i < platform.clusters.size(); ++i) {
    const bool powered = platform.clusters[i].opps.front().idle_power_w.has_value();
    if (powered && !json.has("power")) {
      json["clusters"][i]["power"].fail("\"power\" with rail and base_power_w at the top of the file too");
    }
    platform.power_known = platform.power_known && powered;
  }
  if (json.has("thermal")) platform.thermal = parse_thermal(json["thermal"]);
  if (json.has("power_modes")) platform.modes = parse_modes(json["power_modes"]["modes"], platform.clusters);
  platform.sha256 = identity(platform);
  return platform;
}

Platform load_platform(const fs::path& path) {
  return parse_platform(read_json(path, /*allow_comments=*/true), path.string());
}

}  // namespace dsn

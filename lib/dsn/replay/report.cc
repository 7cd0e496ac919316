// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "dsn/core/stats.h"

namespace dsn {
namespace {

// object[key] = value, or null and object[key_reason] = reason.
void put(Json& object, const std::string& key, const std::optional<double>& value, std::string_view reason) {
  if (value) {
    object[key] = *value;
  } else {
    object[key] = nullptr;
    object[key + "_reason"] = reason;
  }
}

std::optional<double> ratio(double part, double whole) {
  return whole > 0 ? std::optional(part / whole) : std::nullopt;
}

// The weakest origin of what contributes: modelled numbers make the sum modelled.
std::string_view power_origin(const Platform& platform) {
  Origin weakest = Origin::measured;
  for (const Cluster& cluster : platform.clusters) {
    if (cluster.power_origin == Origin::modelled || weakest == Origin::measured)
      weakest = cluster.power_origin;
  }
  return to_string(weakest);
}

Json platform_json(const Platform& platform) {
  Json json = {{"name", platform.name}, {"sha256", platform.sha256}, {"power_known", platform.power_known}};
  if (platform.power_known) {
    json["power_rail"] = platform.power_rail;
  } else {
    json["power_rail"] = nullptr;
    json["power_rail_reason"] = "the platform description has no power numbers";
  }
  json["clusters"] = Json::array();
  for (const Cluster& cluster : platform.clusters) {
    Json c = {{"name", cluster.name},
              {"kind", cluster.kind == ClusterKind::gpu ? "gpu" : "cpu"},
              {"cores", static_cast<int>(std::max<std::size_t>(1, cluster.cpus.size()))},
              {"transition_latency_s", cluster.transition_latency_s}};
    if (cluster.power_source.empty()) {
      c["power_origin"] = nullptr;
      c["power_origin_reason"] = "no power numbers";
    } else {
      c["power_origin"] = to_string(cluster.power_origin);
      c["power_source"] = cluster.power_source;
    }
    json["clusters"].push_back(std::move(c));
  }
  return json;
}

Json app_settings(const Workload& workload, std::size_t a) {
  const TraceApp& app = workload.trace.apps[a];
  const CostTable& costs = workload.costs[a];
  Json json = {{"name", app.name},
               {"target_s", app.target_s},
               {"probability", app.probability},
               {"min_accuracy", app.min_accuracy},
               {"on_overrun", to_string(app.on_overrun)},
               {"levels", costs.levels()},
               {"placements", Json::array()}};
  for (const Placement& p : costs.placements()) {
    json["placements"].push_back(
        {{"cluster", workload.platform.clusters[static_cast<std::size_t>(p.cluster)].name},
         {"threads", p.threads}});
  }
  return json;
}

Json latency_json(const AppStats& stats) {
  constexpr const char* kNone = "no inference was completed";
  constexpr const char* kFew = "too few inferences for this quantile";
  Json json = Json::object();
  const LatencySamples& samples = stats.latency;
  const char* few = samples.size() > 0 ? kFew : kNone;
  static const std::vector<double> kQuantiles = {0.01, 0.05, 0.1,  0.25, 0.5,   0.75,
                                                 0.9,  0.95, 0.98, 0.99, 0.999, 0.9999};
  const std::vector<std::optional<double>> values = samples.quantiles(kQuantiles);
  json["samples"] = stats.completed;
  put(json, "mean_s", samples.mean(), kNone);
  put(json, "p50_s", values[4], few);
  put(json, "p95_s", values[7], few);
  put(json, "p99_s", values[9], few);
  put(json, "max_s", samples.largest(), kNone);
  json["exact"] = samples.exact();
  json["distribution"] = Json::array();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i]) json["distribution"].push_back({{"share", kQuantiles[i]}, {"within_s", *values[i]}});
  }
  for (const Origin origin : {Origin::measured, Origin::modelled, Origin::published}) {
    json["origin"][std::string(to_string(origin))] = stats.origin_count[static_cast<int>(origin)];
  }
  return json;
}

Json app_json(const Workload& workload, std::size_t a, const AppStats& stats) {
  const CostTable& costs = workload.costs[a];
  const double completed = static_cast<double>(stats.completed);
  Json json = {{"name", workload.trace.apps[a].name}, {"arrivals", stats.arrivals},
               {"completed", stats.completed},        {"skipped", stats.skipped},
               {"unfinished", stats.unfinished},      {"infeasible", stats.infeasible}};
  Json& deadlines = json["deadlines"] = {{"met", stats.met}, {"missed", stats.missed}};
  constexpr const char* kNoDeadline = "nothing arrived that had to be ready before the end";
  const auto decided = static_cast<double>(stats.met + stats.missed);
  put(deadlines, "met_share", ratio(static_cast<double>(stats.met), decided), kNoDeadline);
  put(deadlines, "missed_share", ratio(static_cast<double>(stats.missed), decided), kNoDeadline);
  json["latency"] = latency_json(stats);
  put(json["accuracy"], "mean", ratio(stats.accuracy_sum, completed), "no inference was completed");

  const bool energy = costs.energy_known();
  constexpr const char* kNoEnergy =
      "look-up table and platform do not give an energy for every level, placement and operating point";
  put(json["energy"], "above_idle_j", energy ? std::optional(stats.energy_j) : std::nullopt, kNoEnergy);
  put(json["energy"], "above_idle_per_inference_j", energy ? ratio(stats.energy_j, completed) : std::nullopt,
      energy ? "no inference was completed" : kNoEnergy);
  json["switches"] = {{"level", stats.level_switches}, {"placement", stats.placement_switches}};
  json["levels"] = Json::array();
  for (int level = 0; level < costs.levels(); ++level) {
    const std::int64_t count = stats.level_count[static_cast<std::size_t>(level)];
    json["levels"].push_back({{"level", level},
                              {"accuracy", costs.accuracy(level)},
                              {"completed", count},
                              {"share", ratio(static_cast<double>(count), completed).value_or(0)}});
  }
  json["placements"] = stats.placement_count;
  return json;
}

// Who set the frequencies: the governor, or the policy where it did so itself for most of the time.
const std::string& set_by(const PolicyRun& run, ClusterKind kind, double governed_share) {
  if (governed_share < 0.5) return run.name;
  return kind == ClusterKind::gpu ? run.governors.gpu : run.governors.cpu;
}

Json cluster_json(const Cluster& cluster, const PolicyRun& run, const ClusterStats& stats) {
  const double duration_s = run.result.duration_s;
  const double cores = static_cast<double>(std::max<std::size_t>(1, cluster.cpus.size()));
  Json json = {{"name", cluster.name},
               {"governor", set_by(run, cluster.kind, stats.governed_s / duration_s)},
               {"governed_share", stats.governed_s / duration_s},
               {"busy_share", stats.busy_core_s / (cores * duration_s)},
               {"opp_switches", stats.opp_switches},
               {"opps", Json::array()}};
  for (std::size_t i = 0; i < cluster.opps.size(); ++i) {
    Json opp = {{"share", stats.opp_s[i] / duration_s}};
    const double freq = cluster.opps[i].freq_hz;
    put(opp, "freq_hz", freq > 0 ? std::optional(freq) : std::nullopt,
        "the machine's one frequency is not known");
    json["opps"].push_back(std::move(opp));
  }
  return json;
}

Json energy_json(const Workload& workload, const PolicyRun& run) {
  const SimResult& result = run.result;
  const Platform& platform = workload.platform;
  constexpr const char* kNoPower = "the platform description has no power numbers";
  const bool known = platform.power_known;
  const auto number = [&](double value) { return known ? std::optional(value) : std::nullopt; };
  double idle = 0, active = 0, completed = 0;
  for (const ClusterStats& cluster : result.clusters) {
    idle += cluster.idle_j;
    active += cluster.active_j;
  }
  for (const AppStats& app : result.apps) completed += static_cast<double>(app.completed);
  Json json = Json::object();
  put(json, "total_j", number(result.total_j()), kNoPower);
  put(json, "static_j", number(result.base_j), kNoPower);  // what no cluster accounts for
  put(json, "idle_j", number(idle), kNoPower);             // clusters, at the OPPs they had
  put(json, "above_idle_j", number(active), kNoPower);     // applications and contenders
  put(json, "contenders_j", number(result.contenders_j), kNoPower);
  put(json, "mean_power_w", number(result.total_j() / result.duration_s), kNoPower);
  put(json, "per_inference_j", known ? ratio(result.total_j(), completed) : std::nullopt,
      known ? "no inference was completed" : kNoPower);
  const auto gap = [&](const char* key, double ServiceBound::*bound_j) {
    const bool given = known && run.bound.has_value();
    put(json, key, given ? std::optional(result.total_j() / (*run.bound.*bound_j) - 1) : std::nullopt,
        known ? "the oracle was not replayed" : kNoPower);
  };
  gap("gap_to_oracle", &ServiceBound::required_j);
  gap("gap_at_accuracy", &ServiceBound::delivered_j);
  if (known) json["origin"] = power_origin(platform);
  return json;
}

}  // namespace

Json policy_json(const Workload& workload, const PolicyRun& run) {
  const Platform& platform = workload.platform;
  Json json = {{"policy", run.spec}, {"name", run.name}};
  const auto governor = [&](const char* key, ClusterKind kind) {
    double governed_s = 0, total_s = 0;
    for (std::size_t k = 0; k < platform.clusters.size(); ++k) {
      if (platform.clusters[k].kind != kind) continue;
      governed_s += run.result.clusters[k].governed_s;
      total_s += run.result.duration_s;
    }
    if (total_s > 0) {
      json[key] = set_by(run, kind, governed_s / total_s);
    } else {
      json[key] = nullptr;
      json[std::string(key) + "_reason"] = "the platform has no such cluster";
    }
  };
  governor("cpu_governor", ClusterKind::cpu);
  governor("gpu_governor", ClusterKind::gpu);
  json["energy"] = energy_json(workload, run);
  json["apps"] = Json::array();
  for (std::size_t a = 0; a < run.result.apps.size(); ++a)
    json["apps"].push_back(app_json(workload, a, run.result.apps[a]));
  json["clusters"] = Json::array();
  for (std::size_t k = 0; k < platform.clusters.size(); ++k) {
    json["clusters"].push_back(cluster_json(platform.clusters[k], run, run.result.clusters[k]));
  }
  return json;
}

Json replay_report(const LoadedWorkload& loaded, const std::vector<std::uint64_t>& seeds,
                   std::vector<Json> policies) {
  const Workload& workload = loaded.workload;
  Json names = Json::array();
  for (const Json& policy : policies) names.push_back(policy.at("policy"));
  Json json = pure_envelope("dsn.report", seeds.front(), loaded.inputs,
                            {{"policies", names}, {"noise", workload.trace.noise}});
  json["kind"] = "replay";
  json["seeds"] = seeds;
  for (const std::string& warning : loaded.warnings) json["warnings"].push_back(warning);
  json["trace"] = {{"file", fs::path(workload.trace.file).filename().string()},
                   {"duration_s", workload.trace.duration_s}};
  json["platform"] = platform_json(workload.platform);
  json["apps"] = Json::array();
  for (std::size_t a = 0; a < workload.trace.apps.size(); ++a)
    json["apps"].push_back(app_settings(workload, a));
  json["policies"] = std::move(policies);
  return json;
}

}  // namespace dsn

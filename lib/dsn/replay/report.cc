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
               {"on_overrun", app.on_overrun == OnOverrun::queue ? "queue" : "skip"},
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
  const std::vector<double>& samples = stats.latency_s;
  const bool any = !samples.empty();
  json["samples"] = stats.completed;
  put(json, "mean_s", any ? std::optional(mean(samples)) : std::nullopt, kNone);
  put(json, "p50_s", any ? std::optional(median(samples)) : std::nullopt, kNone);
  put(json, "p95_s", any ? tail_quantile(samples, 0.95) : std::nullopt, any ? kFew : kNone);
  put(json, "p99_s", any ? tail_quantile(samples, 0.99) : std::nullopt, any ? kFew : kNone);
  put(json, "max_s", any ? std::optional(*std::max_element(samples.begin(), samples.end())) : std::nullopt,
      kNone);
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
  put(deadlines, "met_share",
      ratio(static_cast<double>(stats.met), static_cast<double>(stats.met + stats.missed)),
      "nothing arrived that had to be ready before the end");
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

Json energy_json(const Workload& workload, const SimResult& result) {
  const Platform& platform = workload.platform;
  constexpr const char* kNoPower = "the platform description has no power numbers";
  const bool known = platform.power_known;
  const auto number = [&](double value) { return known ? std::optional(value) : std::nullopt; };
  double idle = result.base_j, active = 0, completed = 0;
  for (const ClusterStats& cluster : result.clusters) {
    idle += cluster.idle_j;
    active += cluster.active_j;
  }
  for (const AppStats& app : result.apps) completed += static_cast<double>(app.completed);
  Json json = Json::object();
  put(json, "total_j", number(result.total_j()), kNoPower);
  put(json, "idle_j", number(idle), kNoPower);          // board and clusters, idle at the OPPs they had
  put(json, "above_idle_j", number(active), kNoPower);  // applications and contenders
  put(json, "contenders_j", number(result.contenders_j), kNoPower);
  put(json, "mean_power_w", number(result.total_j() / result.duration_s), kNoPower);
  put(json, "per_inference_j", known ? ratio(result.total_j(), completed) : std::nullopt,
      known ? "no inference was completed" : kNoPower);
  if (known) json["origin"] = power_origin(platform);
  return json;
}

Json run_json(const Workload& workload, const PolicyRun& run) {
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
  json["energy"] = energy_json(workload, run.result);
  json["apps"] = Json::array();
  for (std::size_t a = 0; a < run.result.apps.size(); ++a)
    json["apps"].push_back(app_json(workload, a, run.result.apps[a]));
  json["clusters"] = Json::array();
  for (std::size_t k = 0; k < platform.clusters.size(); ++k) {
    json["clusters"].push_back(cluster_json(platform.clusters[k], run, run.result.clusters[k]));
  }
  return json;
}

// value * scale with `digits` decimals, or a dash.
std::string cell(const Json& object, const char* key, double scale, int digits) {
  const Json& value = object.at(key);
  return value.is_number() ? fmt::format("{:.{}f}", value.get<double>() * scale, digits) : std::string("-");
}

// Decimals that show three significant digits of the smallest value in the column, at most 6.
int decimals(const Json& report, double scale, const std::function<const Json&(const Json& app)>& pick) {
  int digits = 0;
  for (const Json& run : report.at("policies")) {
    for (const Json& app : run.at("apps")) {
      const Json& value = pick(app);
      if (!value.is_number()) continue;
      double scaled = value.get<double>() * scale;
      int needed = 0;
      for (; scaled > 0 && scaled < 100 && needed < 6; scaled *= 10) ++needed;
      digits = std::max(digits, needed);
    }
  }
  return digits;
}

}  // namespace

Json replay_report(const LoadedWorkload& loaded, std::uint64_t seed, const std::vector<PolicyRun>& runs) {
  const Workload& workload = loaded.workload;
  Json policies = Json::array();
  for (const PolicyRun& run : runs) policies.push_back(run.spec);
  Json json = pure_envelope("dsn.report", seed, loaded.inputs,
                            {{"policies", policies}, {"noise", workload.trace.noise}});
  json["kind"] = "replay";
  for (const std::string& warning : loaded.warnings) json["warnings"].push_back(warning);
  json["trace"] = {{"file", fs::path(workload.trace.file).filename().string()},
                   {"duration_s", workload.trace.duration_s}};
  json["platform"] = platform_json(workload.platform);
  json["apps"] = Json::array();
  for (std::size_t a = 0; a < workload.trace.apps.size(); ++a)
    json["apps"].push_back(app_settings(workload, a));
  json["policies"] = Json::array();
  for (const PolicyRun& run : runs) json["policies"].push_back(run_json(workload, run));
  return json;
}

std::vector<std::vector<std::string>> replay_table(const Json& report) {
  const bool several = report.at("apps").size() > 1;
  const int latency_digits =
      decimals(report, 1e3, [](const Json& app) -> const Json& { return app.at("latency").at("p50_s"); });
  std::vector<std::vector<std::string>> table;
  std::vector<std::string> header = {"policy"};
  if (several) header.emplace_back("task");
  for (const char* title : {"deadlines met %", "accuracy %", "p50 ms", "p95 ms", "p99 ms", "level switches",
                            "above idle mJ/inf", "mean power W", "total J", "CPU governor", "GPU governor"}) {
    header.emplace_back(title);
  }
  table.push_back(std::move(header));
  for (const Json& run : report.at("policies")) {
    for (const Json& app : run.at("apps")) {
      std::vector<std::string> row = {run.at("policy").get<std::string>()};
      if (several) row.push_back(app.at("name").get<std::string>());
      row.push_back(cell(app.at("deadlines"), "met_share", 100, 1));
      row.push_back(cell(app.at("accuracy"), "mean", 100, 2));
      for (const char* key : {"p50_s", "p95_s", "p99_s"})
        row.push_back(cell(app.at("latency"), key, 1e3, latency_digits));
      row.push_back(std::to_string(app.at("switches").at("level").get<std::int64_t>()));
      row.push_back(cell(app.at("energy"), "above_idle_per_inference_j", 1e3, 1));
      row.push_back(cell(run.at("energy"), "mean_power_w", 1, 2));
      row.push_back(cell(run.at("energy"), "total_j", 1, 1));
      for (const char* key : {"cpu_governor", "gpu_governor"}) {
        row.push_back(run.at(key).is_string() ? run.at(key).get<std::string>() : std::string("-"));
      }
      table.push_back(std::move(row));
    }
  }
  return table;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "dsn/control/run_control.h"

namespace dsn {
namespace {

void put(Json& json, const std::string& key, double value, bool known, const char* reason) {
  if (known && std::isfinite(value)) {
    json[key] = value;
  } else {
    json[key] = nullptr;
    json[key + "_reason"] = reason;
  }
}

Json app_status(const RunDescription::App& app, const AppState& state) {
  const bool ran = state.completed > 0;
  const char* none = "no inference was completed yet";
  Json json = {{"name", app.name},
               {"active", state.active},
               {"paused", state.paused},
               {"failed", state.failed},
               {"level", state.level},
               {"target_s", state.target_s},
               {"min_accuracy", state.min_accuracy},
               {"priority", state.priority},
               {"slowdown", state.slowdown},
               {"feasible", state.feasible},
               {"arrivals", state.arrivals()},
               {"completed", state.completed},
               {"skipped", state.skipped},
               {"aborted", state.aborted},
               {"met", state.met_count},
               {"switches", state.switches},
               {"labelled", state.labelled},
               {"correct", state.correct}};
  const auto level = static_cast<std::size_t>(state.level);
  put(json, "level_accuracy", level < app.accuracy.size() ? app.accuracy[level] : kUnknown, ran, none);
  const auto placement = static_cast<std::size_t>(state.placement);
  json["placement"] = placement < app.placements.size() ? app.placements[placement] : "";
  put(json, "period_s", state.period_s, state.period_s > 0, "a frame arrives when the one before is done");
  put(json, "latency_s", state.latency_s, ran, none);
  put(json, "latency_mean_s", state.latency_sum_s / static_cast<double>(state.completed), ran, none);
  const auto arrivals = static_cast<double>(state.arrivals());
  put(json, "met_share", static_cast<double>(state.met_count) / arrivals, arrivals > 0,
      "no frame arrived yet");
  return json;
}

Json cluster_status(const RunDescription::ClusterOf& cluster, const ClusterState& state) {
  Json json = {{"name", cluster.name}, {"opp", state.opp}, {"held", state.held}};
  put(json, "freq_hz", state.freq_hz, state.freq_hz > 0, "it cannot be read");
  put(json, "others_load", state.others_load, state.others_load >= 0, "it cannot be read");
  put(json, "temp_c", state.temp_c, true, "no sensor");
  put(json, "power_w", state.power_w, true, "no sensor");
  return json;
}

}  // namespace

Json status_of(const RunBoard& board) {
  const auto description = board.description();
  Json json = {{"schema", "dsn.status"}, {"schema_version", schema_version("dsn.status")},
               {"tool", tool_info()},    {"running", description != nullptr},
               {"apps", Json::array()},  {"clusters", Json::array()}};
  if (description == nullptr) return json;
  const RunState state = board.read();
  json["running"] = !state.ended;
  json["policy"] = description->policy;
  put(json, "now_s", state.now_s, state.now_s >= 0, "warming up");
  for (std::size_t i = 0; i < description->apps.size(); ++i)
    json["apps"].push_back(app_status(description->apps[i], state.apps[i]));
  for (std::size_t i = 0; i < description->clusters.size(); ++i)
    json["clusters"].push_back(cluster_status(description->clusters[i], state.clusters[i]));
  put(json, "power_w", state.power_w, true, "no sensor");
  json["decisions"] = {{"count", state.decisions},
                       {"infeasible", state.infeasible},
                       {"undecided", state.undecided},
                       {"last_s", state.decision_s},
                       {"longest_s", state.longest_decision_s}};
  return json;
}

}  // namespace dsn

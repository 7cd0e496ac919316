// SPDX-License-Identifier: Apache-2.0
// Arrivals in logs: MLPerf LoadGen's detail log, and dsn's own of a live run.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "dsn/core/error.h"
#include "dsn/replay/import_parts.h"

namespace dsn {
namespace {

Json line_object(const std::string& text, const Lines& lines) {
  Json json;
  try {
    json = parse_json(text, "line");
  } catch (const Error& error) {
    lines.fail(error.message());
  }
  if (!json.is_object()) lines.fail("found no object, expected one");
  return json;
}

// A number of one line, or fails there.
double number_at(const Json& json, const char* key, const Lines& lines) {
  const auto at = json.find(key);
  if (at == json.end() || !at->is_number()) lines.fail(fmt::format("found no number {}, expected one", key));
  return at->get<double>();
}

int placement_index(const CostTable& costs, const std::string& name, const Lines& lines) {
  for (std::size_t p = 0; p < costs.placements().size(); ++p) {
    if (costs.placement_name(static_cast<int>(p)) == name) return static_cast<int>(p);
  }
  lines.fail(fmt::format("found placement '{}', expected one of the look-up table that was given", name));
}

}  // namespace

Json import_loadgen(const fs::path& path, const ImportOptions& options) {
  constexpr std::string_view kMark = ":::MLLOG ";
  Lines lines(path);
  std::string line;
  std::map<std::string, Json> values;
  while (lines.next(line)) {
    const std::size_t mark = line.find(kMark);
    if (mark == std::string::npos) continue;
    const Json json = line_object(line.substr(mark + kMark.size()), lines);
    if (json.contains("key") && json["key"].is_string() && json.contains("value"))
      values.emplace(json["key"].get<std::string>(), json["value"]);
  }
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: {}", path.string(), what),
                "give mlperf_log_detail.txt of a performance run");
  };
  const auto number = [&](const char* key) {
    const auto at = values.find(key);
    if (at == values.end() || !at->second.is_number())
      fail(fmt::format("found no {}, expected a number", key));
    return at->second.get<double>();
  };
  const auto scenario_at = values.find("effective_scenario");
  if (scenario_at == values.end() || !scenario_at->second.is_string())
    fail("found no effective_scenario, expected one");
  const std::string scenario = scenario_at->second.get<std::string>();
  std::vector<std::string> warnings = {fmt::format("MLPerf LoadGen, scenario {}", scenario)};
  Json arrivals, task = app_task(options);
  if (scenario == "Server") {
    arrivals = {{"process", "poisson"}, {"rate_hz", number("effective_target_qps") * options.compress}};
    task["target_s"] = number("effective_target_latency_ns") * 1e-9;
    if (options.on_overrun.empty()) task["on_overrun"] = "queue";
    const auto percentile = values.find("effective_target_latency_percentile");
    if (percentile != values.end() && percentile->second.is_number())
      task["probability"] = percentile->second;
  } else if (scenario == "SingleStream" || scenario == "MultiStream") {
    arrivals = {{"process", "periodic"},
                {"period_s", number("result_mean_latency_ns") * 1e-9 / options.compress}};
    if (options.on_overrun.empty()) task["on_overrun"] = "queue";
    warnings.emplace_back(
        "a closed loop: replayed at the mean latency that was measured, one query after the other");
  } else {
    fail(fmt::format("found scenario {}, expected Server, SingleStream or MultiStream", scenario));
  }
  if (options.mean_rate_hz) {
    arrivals.erase("period_s");
    arrivals["rate_hz"] = *options.mean_rate_hz;
  }
  ImportOptions seeded = options;
  const auto seed = values.find("effective_schedule_rng_seed");
  if (seed != values.end() && seed->second.is_number_unsigned())
    seeded.seed = seed->second.get<std::uint64_t>() >> 1;  // a trace's seed is a signed integer
  const double duration_s = std::max(number("effective_min_duration_ms") * 1e-3 / options.compress, 1e-3);
  task["phases"] = {{{"name", scenario}, {"arrivals", arrivals}}};
  Json json = trace_frame(duration_s, seeded, warnings);
  json["tasks"]["app"] = std::move(task);
  return json;
}

// With the costs of the bundle that ran, what each inference took (from its arrival, or the end of the one
// before, to its end) over what the look-up table says of its level is kept as a factor: what contention did,
// apart from what the policy chose. A skipped arrival gets that of the one before.
Json import_run_log(const fs::path& path, const ImportOptions& options) {
  Lines lines(path);
  std::string line;
  std::vector<Arrived> arrived;
  double free_at_s = 0, factor = 1;
  bool skipped = false;
  while (lines.next(line)) {
    if (line.empty()) continue;
    const Json json = line_object(line, lines);
    Arrived one{number_at(json, "scheduled_s", lines), number_at(json, "target_s", lines), 0};
    if (one.at_s < 0 || !(one.target_s > 0))
      lines.fail("found a negative time or no target, expected a line of dsn run --log");
    if (json.value("skipped", Json(false)) == true) {
      skipped = true;
    } else if (options.costs != nullptr) {
      const CostTable& costs = *options.costs;
      const double done_s = number_at(json, "done_s", lines), level = number_at(json, "level", lines);
      if (level < 0 || level >= costs.levels() || !json.contains("placement") ||
          !json["placement"].is_string())
        lines.fail(fmt::format("found level {}, expected one of 0 to {} with its placement", level,
                               costs.levels() - 1));
      const int placement = placement_index(costs, json["placement"].get<std::string>(), lines);
      const double alone =
          costs.latency(static_cast<int>(level), placement, static_cast<int>(number_at(json, "opp", lines)));
      factor = std::clamp((done_s - std::max(one.at_s, free_at_s)) / alone, 1e-2, 1e6);
      free_at_s = done_s;
    }
    one.factor = options.costs != nullptr ? factor : 0;
    check_count(arrived.size() + 1, path.string());
    arrived.push_back(one);
  }
  ImportOptions as_run = options;
  if (as_run.on_overrun.empty()) as_run.on_overrun = skipped ? "late" : "queue";
  std::vector<std::string> warnings = {
      options.costs != nullptr
          ? "a live run: each inference is as much slower than its look-up table as it was then, whatever "
            "replays it"
          : "a live run without its look-up table: arrivals and targets only, no contention"};
  return arrivals_trace({{"app", std::move(arrived)}}, 0, as_run, path.string(), std::move(warnings));
}

}  // namespace dsn

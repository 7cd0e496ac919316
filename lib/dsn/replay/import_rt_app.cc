// SPDX-License-Identifier: Apache-2.0
// rt-app's JSON (scheduler-tools/rt-app, doc/tutorial.txt): what its tasks do becomes contenders, or the
// rhythm of the application.
#include <fmt/format.h>

#include <algorithm>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/replay/import_parts.h"

namespace dsn {
namespace {

constexpr double kMicro = 1e-6;
constexpr std::size_t kMostPhases = 100'000;

// What one round of a phase does. Times in seconds.
struct Round {
  double run = 0, runtime = 0, sleep = 0, period = 0;
  [[nodiscard]] double length() const { return period > 0 ? period : run + runtime + sleep; }
};

struct RtPhase {
  std::string name;
  std::int64_t loops = 1;  // -1: endless
  Round round;
};

bool is_event(std::string_view key, std::string_view event) {
  if (!key.starts_with(event)) return false;
  // Keys must be unique in JSON, so rt-app takes run1, run2, sleep0 ...
  return std::all_of(key.begin() + static_cast<std::ptrdiff_t>(event.size()), key.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

Round read_round(const JsonView& phase) {
  constexpr const char* kIgnored[] = {"loop",  "cpus",     "policy",   "priority",  "instance",
                                      "delay", "util_min", "util_max", "taskgroup", "phases"};
  Round round;
  for (const auto& item : phase.json().items()) {
    const std::string& key = item.key();
    const JsonView v = phase[key];
    if (std::find(std::begin(kIgnored), std::end(kIgnored), key) != std::end(kIgnored)) continue;
    if (is_event(key, "runtime")) {
      round.runtime += v.number(0, 1e12) * kMicro;
    } else if (is_event(key, "run")) {
      round.run += v.number(0, 1e12) * kMicro;
    } else if (is_event(key, "sleep")) {
      round.sleep += v.number(0, 1e12) * kMicro;
    } else if (is_event(key, "timer")) {
      round.period = v["period"].number(1, 1e12) * kMicro;
    } else {
      v.fail("one of run, runtime, sleep, timer and loop, which is what can be replayed");
    }
  }
  if (round.run > 0 && round.runtime > 0) phase.fail("either run or runtime in a phase");
  if (round.length() <= 0) phase.fail("an event that takes time");
  return round;
}

// Names of an object's members as they were written: phases run in that order.
using Order = std::vector<std::string>;

std::vector<RtPhase> read_phases(const JsonView& task, const Order& order) {
  const auto loops = [](const JsonView& v, std::int64_t otherwise) {
    return v.has("loop") ? v["loop"].integer(-1, 1'000'000'000) : otherwise;
  };
  // Events of a task itself are one phase; its loop is then that phase's.
  if (!task.has("phases")) return {{"", loops(task, -1), read_round(task)}};
  std::vector<RtPhase> phases;
  for (const std::string& name : order) {
    const JsonView v = task["phases"][name];
    phases.push_back({name, loops(v, 1), read_round(v)});
  }
  if (phases.empty()) task["phases"].fail("at least one phase");
  return phases;
}

// Calls put(phase, start_s, length_s) until the trace or the task's loops end.
template <typename Put>
void unroll(const JsonView& task, const Order& order, double duration_s, Put&& put) {
  const std::vector<RtPhase> phases = read_phases(task, order);
  const std::int64_t rounds =
      task.has("phases") ? (task.has("loop") ? task["loop"].integer(-1, 1'000'000'000) : -1) : 1;
  double now = task.has("delay") ? task["delay"].number(0, 1e12) * kMicro : 0;
  std::size_t count = 0;
  for (std::int64_t round = 0; rounds < 0 || round < rounds; ++round) {
    for (const RtPhase& phase : phases) {
      if (duration_s - now < 1e-5) return;
      if (++count > kMostPhases) task.fail(fmt::format("phases that unroll to at most {}", kMostPhases));
      const double wanted =
          phase.loops < 0 ? duration_s : static_cast<double>(phase.loops) * phase.round.length();
      const double length = std::min(wanted, duration_s - now);
      if (length < 1e-5) continue;
      put(phase, now, length);
      now += length;
    }
  }
}

Json contender_phase(const RtPhase& phase, std::int64_t threads, const ImportOptions& options) {
  const Round& round = phase.round;
  Json json = Json::object();
  if (!phase.name.empty()) json["name"] = phase.name;
  if (!options.cluster.empty()) json["cluster"] = options.cluster;
  const double work = round.run + round.runtime;
  if (work >= round.length() * (1 - 1e-9)) {
    json["busy"] = threads;
    return json;
  }
  json["threads"] = threads;
  json["period_s"] = std::max(round.length(), 1e-5);
  json[round.run > 0 ? "run_s" : "runtime_s"] = work;
  return json;
}

}  // namespace

Json import_rt_app(const fs::path& path, const ImportOptions& options) {
  const std::string text = read_file(path);
  const Json document = parse_json(text, path.string(), /*allow_comments=*/true);
  const auto ordered = nlohmann::ordered_json::parse(text, nullptr, true, /*ignore_comments=*/true);
  const JsonView v(document, path.string());
  const JsonView global = v["global"];
  const double duration_s = global["duration"].number();
  if (duration_s <= 0) global["duration"].fail("a duration in seconds: an endless one cannot be replayed");
  Json json = trace_frame(duration_s, options,
                          {"rt-app: run is work at the highest frequency of the cluster, as rt-app "
                           "calibrates it; sleep after run counts "
                           "from the start of the period; affinities are left out"});
  std::string names;
  for (const auto& item : v["tasks"].json().items()) {
    const JsonView task = v["tasks"][item.key()];
    names += (names.empty() ? "" : ", ") + item.key();
    const std::int64_t threads = task.has("instance") ? task["instance"].integer(1, 1024) : 1;
    Json phases = Json::array();
    const bool app = item.key() == options.select;
    Order order;
    if (task.has("phases") && task["phases"].json().is_object()) {
      for (const auto& phase : ordered["tasks"][item.key()]["phases"].items()) order.push_back(phase.key());
    }
    unroll(task, order, duration_s, [&](const RtPhase& phase, double start_s, double length_s) {
      const Round& round = phase.round;
      if (!app && round.run + round.runtime <= 0) return;  // sleeps only
      Json out =
          app ? Json{{"name", phase.name}, {"arrivals", {{"period_s", std::max(round.length(), 1e-5)}}}}
              : contender_phase(phase, threads, options);
      out["start_s"] = start_s;
      out["duration_s"] = length_s;
      phases.push_back(std::move(out));
    });
    if (phases.empty()) continue;
    Json out = app ? app_task(options) : Json{{"kind", "contender"}};
    out["phases"] = std::move(phases);
    json["tasks"][item.key()] = std::move(out);
  }
  if (!json["tasks"].contains(options.select)) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("{}: no task '{}' to be the application", path.string(), options.select),
                fmt::format("select one of {}", names));
  }
  return json;
}

}  // namespace dsn

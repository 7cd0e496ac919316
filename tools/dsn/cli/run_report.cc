// SPDX-License-Identifier: Apache-2.0
#include "cli/run_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/app_flag.h"
#include "cli/measuring.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "dsn/core/units.h"

namespace dsn::cli {
namespace {

Json to_json(const MemoryUse& memory) {
  return {{"weights_bytes", memory.weights}, {"levels_bytes", memory.levels}, {"work_bytes", memory.work}};
}

Json settings_of(const ApplicationSet& apps, std::size_t app) {
  const ApplicationSpec& spec = apps.spec(app);
  const AppOptions& o = spec.options;
  Json json = {{"input", spec.input},          {"target_s", o.target_s},
               {"probability", o.probability}, {"min_accuracy", o.min_accuracy},
               {"priority", o.priority},       {"overrun", std::string(to_string(o.overrun))},
               {"start_s", o.start_s},         {"engine", std::string(apps.executor(app).name())}};
  if (o.period_s > 0) {
    json["period_s"] = o.period_s;
  } else {
    json["period_s"] = nullptr;
    json["period_s_reason"] = "a frame arrives when the one before is done";
  }
  return json;
}

Json run_of(const ApplicationSet& apps, std::size_t app, const AppOutcome& outcome) {
  Json json = outcome.summary.to_json();
  json["name"] = apps.spec(app).name;
  json["settings"] = settings_of(apps, app);
  json["bundle_sha256"] = apps.bundle(app).sha256;
  json["memory"] = to_json(apps.executor(app).memory());
  if (outcome.failure) json["failure"] = outcome.failure->message();
  return json;
}

Json platform_json(const Platform& platform) {
  Json json = {{"name", platform.name},
               {"sha256", platform.sha256},
               {"power_known", platform.power_known},
               {"power_rail", nullptr},
               {"clusters", Json::array()}};
  if (!platform.power_rail.empty()) json["power_rail"] = platform.power_rail;
  for (const Cluster& cluster : platform.clusters) {
    json["clusters"].push_back({{"name", cluster.name},
                                {"kind", cluster.kind == ClusterKind::gpu ? "gpu" : "cpu"},
                                {"cores", std::max<std::size_t>(cluster.cpus.size(), 1)},
                                {"power_origin", nullptr}});
    if (!cluster.power_source.empty())
      json["clusters"].back()["power_origin"] = std::string(to_string(cluster.power_origin));
  }
  return json;
}

std::string percent(const std::optional<double>& share) {
  return share ? format_percent(*share) : std::string("unknown");
}

std::string time_of(const std::optional<double>& seconds) {
  return seconds ? format_duration(*seconds) : std::string("-");
}

std::string levels_text(const RunSummary& summary, const CostTable& costs) {
  Table table;
  table.column("level");
  table.column("accuracy %");
  table.column("frames");
  table.column("met %");
  table.column("time %");
  for (std::size_t i = 0; i < summary.levels.size(); ++i) {
    const auto& at = summary.levels[i];
    table.row({std::to_string(i), fmt::format("{:.2f}", costs.accuracy(static_cast<int>(i)) * 100),
               std::to_string(at.count),
               at.count > 0 ? fmt::format("{:.1f}",
                                          100.0 * static_cast<double>(at.met) / static_cast<double>(at.count))
                            : "-",
               summary.duration_s > 0 ? fmt::format("{:.1f}", 100 * at.time_s / summary.duration_s) : "-"});
  }
  return table.str();
}

std::string app_text(const ApplicationSpec& spec, const RunSummary& summary) {
  std::string text =
      fmt::format("policy {}, target {}{}, {} of {}\n", summary.policy, format_duration(summary.target_s),
                  spec.options.period_s > 0 ? fmt::format(" at {:.6g} frames/s", 1 / spec.options.period_s)
                                            : ", one frame after another",
                  format_duration(summary.duration_s), spec.input);
  const auto share = summary.met_share();
  const bool kept = share && *share >= summary.probability;
  text += fmt::format("deadlines met     {}  ({} of {} frames, {} skipped{})\n",
                      paint(Stream::out, kept ? Paint::green : Paint::red, percent(share)), summary.met,
                      summary.arrivals(), summary.skipped,
                      summary.aborted > 0 ? fmt::format(", {} given up", summary.aborted) : "");
  if (summary.target_changes > 0)
    text += fmt::format("target            changed {} times\n", summary.target_changes);
  text += fmt::format("latency           p50 {}, p95 {}, p99 {}\n", time_of(summary.latency.quantile(0.5)),
                      time_of(summary.latency.quantile(0.95)), time_of(summary.latency.quantile(0.99)));
  if (summary.labelled > 0) {
    text += fmt::format("accuracy          {}  (of {} labelled frames)\n", percent(summary.accuracy()),
                        summary.labelled);
  } else {
    text += fmt::format(
        "accuracy          {}  (what the levels had on test images; these frames have no labels)\n",
        percent(summary.expected_accuracy()));
  }
  text += fmt::format("level switches    {}\n", summary.switches);
  if (summary.undecided > 0)
    text += fmt::format("undecided         {} inferences went on without the manager\n", summary.undecided);
  text += fmt::format("slowdown          {:.2f} times the undisturbed latency\n", summary.slowdown_mean);
  return text;
}

}  // namespace

Json run_report(const RunSettings& settings, const ApplicationSet& apps, const Platform& platform,
                std::span<const AppOutcome> outcomes, const std::vector<std::string>& doubts) {
  Json report = doubtful_envelope("dsn.report", settings.seed, doubts);
  report["kind"] = "run";
  report["inputs"] = Json::array();
  report["runs"] = Json::array();
  for (std::size_t a = 0; a < apps.size(); ++a) {
    report["inputs"].push_back({{"role", "bundle"}, {"sha256", apps.bundle(a).sha256}});
    report["runs"].push_back(run_of(apps, a, outcomes[a]));
  }
  report["settings"] = apps.size() == 1 ? settings_of(apps, 0) : Json::object();
  report["settings"]["policy"] = settings.policy;
  report["settings"]["dvfs"] = settings.dvfs;
  report["settings"]["device"] = settings.device;
  report["platform"] = platform_json(platform);
  report["memory"] = to_json(apps.memory());
  if (apps.size() == 1) report["run"] = report["runs"][0];
  return report;
}

std::string run_text(const ApplicationSet& apps, std::span<const AppOutcome> outcomes) {
  const bool several = apps.size() > 1;
  const MemoryUse memory = apps.memory();
  const std::string memory_text = fmt::format(
      "engine memory     {} of weights, {} of levels, {} to work in\n",
      format_bytes(static_cast<double>(memory.weights)), format_bytes(static_cast<double>(memory.levels)),
      format_bytes(static_cast<double>(memory.work)));
  std::string text;
  for (std::size_t a = 0; a < apps.size(); ++a) {
    if (several) text += fmt::format("{}{}\n", a > 0 ? "\n" : "", apps.spec(a).name);
    text += app_text(apps.spec(a), outcomes[a].summary);
    if (outcomes[a].failure)
      text += fmt::format(
          "{}\n", paint(Stream::out, Paint::red, "ended             " + outcomes[a].failure->message()));
    if (!several) text += memory_text;
    text += '\n' + levels_text(outcomes[a].summary, apps.costs(a));
  }
  return several ? text + '\n' + memory_text : text;
}

}  // namespace dsn::cli

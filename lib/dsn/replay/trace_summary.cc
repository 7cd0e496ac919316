// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/trace_summary.h"

#include <fmt/format.h>

#include <algorithm>

#include "dsn/core/units.h"
#include "dsn/replay/arrivals.h"

namespace dsn {
namespace {

constexpr int kCoarse = 100, kFine = 500;
constexpr std::int64_t kMostCounted = 20'000'000;

// Arrivals by bins of equal length.
std::vector<double> counts_of(const Trace& trace, const TraceApp& app, int bins) {
  std::vector<double> counts(static_cast<std::size_t>(bins), 0.0);
  ArrivalStream stream(app, trace.seed);
  std::int64_t counted = 0;
  for (double at = stream.next(); at < trace.duration_s && counted < kMostCounted;
       at = stream.next(), ++counted) {
    const auto bin = static_cast<std::size_t>(at / trace.duration_s * bins);
    counts[std::min(bin, counts.size() - 1)] += 1;
  }
  return counts;
}

// Cores that a phase keeps busy on average at the highest frequency.
double cores_of(const ContenderPhase& phase) {
  return phase.threads * (phase.period_s > 0 ? (phase.run_s + phase.runtime_s) / phase.period_s : 1.0);
}

Json app_json(const Trace& trace, const TraceApp& app) {
  const std::vector<double> counts = counts_of(trace, app, kCoarse);
  double sum = 0;
  for (const double count : counts) sum += count;
  return {{"name", app.name},
          {"kind", "app"},
          {"phases", app.phases.size()},
          {"arrivals", static_cast<std::int64_t>(sum)},
          {"mean_rate_hz", sum / trace.duration_s},
          {"peak_rate_hz", *std::max_element(counts.begin(), counts.end()) * kCoarse / trace.duration_s},
          {"target_s", app.target_s},
          {"probability", app.probability},
          {"min_accuracy", app.min_accuracy},
          {"on_overrun", to_string(app.on_overrun)}};
}

Json contender_json(const Trace& trace, const TraceContender& contender) {
  double core_s = 0;
  for (const ContenderPhase& phase : contender.phases) core_s += cores_of(phase) * phase.duration_s;
  return {{"name", contender.name},
          {"kind", "contender"},
          {"phases", contender.phases.size()},
          {"mean_cores", core_s / trace.duration_s}};
}

}  // namespace

Json trace_summary(const Trace& trace) {
  Json json = {{"file", trace.file}, {"sha256", trace.sha256},        {"duration_s", trace.duration_s},
               {"seed", trace.seed}, {"events", trace.events.size()}, {"tasks", Json::array()}};
  for (const TraceApp& app : trace.apps) json["tasks"].push_back(app_json(trace, app));
  for (const TraceContender& contender : trace.contenders)
    json["tasks"].push_back(contender_json(trace, contender));
  return json;
}

std::string summary_text(const Json& summary) {
  std::string text =
      fmt::format("{}: {:g} s, seed {}, {} events\n", summary.at("file").get<std::string>(),
                  summary.at("duration_s").get<double>(), summary.at("seed").get<std::uint64_t>(),
                  summary.at("events").get<std::size_t>());
  for (const Json& task : summary.at("tasks")) {
    const std::string name = task.at("name").get<std::string>();
    if (task.at("kind") == "contender") {
      text += fmt::format("{}: contender, {:.3g} cores busy on average at the highest frequency\n", name,
                          task.at("mean_cores").get<double>());
      continue;
    }
    text += fmt::format("{}: {} arrivals, {:.4g} per second, at most {:.4g}; target {}\n", name,
                        task.at("arrivals").get<std::int64_t>(), task.at("mean_rate_hz").get<double>(),
                        task.at("peak_rate_hz").get<double>(),
                        format_duration(task.at("target_s").get<double>()));
  }
  return text;
}

Page trace_page(const Trace& trace) {
  Page page;
  page.title = fmt::format("dsn trace: {}", fs::path(trace.file).filename().string());
  page.notes.push_back(fmt::format("{:g} s, seed {}.", trace.duration_s, trace.seed));
  std::vector<double> end_s;
  for (int b = 1; b <= kFine; ++b) end_s.push_back(trace.duration_s * b / kFine);
  const double step = trace.duration_s / kFine;
  PageChart arrivals{"arrivals", "1/s", true, end_s, {}}, targets{"latency targets", "ms", true, end_s, {}};
  PageChart load{"contenders at the highest frequency", "cores", true, end_s, {}};
  for (std::size_t a = 0; a < trace.apps.size(); ++a) {
    PageSeries rate{trace.apps[a].name, {}, static_cast<int>(a), false}, target = rate;
    for (const double count : counts_of(trace, trace.apps[a], kFine)) rate.y.emplace_back(count / step);
    double now = trace.apps[a].target_s;
    std::size_t next = 0;
    for (const double at : end_s) {
      for (; next < trace.events.size() && trace.events[next].at_s < at; ++next) {
        const auto* set = std::get_if<SetEvent>(&trace.events[next].what);
        if (set != nullptr && set->app == a) now = set->target_s.value_or(now);
      }
      target.y.emplace_back(now * 1e3);
    }
    arrivals.series.push_back(std::move(rate));
    targets.series.push_back(std::move(target));
  }
  for (std::size_t c = 0; c < trace.contenders.size(); ++c) {
    PageSeries cores{trace.contenders[c].name, std::vector<std::optional<double>>(end_s.size(), 0.0),
                     static_cast<int>(c), false};
    for (const ContenderPhase& phase : trace.contenders[c].phases) {
      for (std::size_t b = 0; b < end_s.size(); ++b) {
        const double inside =
            std::min(end_s[b], phase.start_s + phase.duration_s) - std::max(end_s[b] - step, phase.start_s);
        if (inside > 0) *cores.y[b] += cores_of(phase) * inside / step;
      }
    }
    load.series.push_back(std::move(cores));
  }
  page.charts = {std::move(arrivals), std::move(targets)};
  if (!load.series.empty()) page.charts.push_back(std::move(load));
  return page;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/timeline.h"

#include <fmt/format.h>

#include <algorithm>

namespace dsn {
namespace {

using Values = std::vector<std::optional<double>>;

PolicyTimeline record(const LoadedWorkload& loaded, const PolicySpec& spec, std::uint64_t seed,
                      const TimelineOptions& options, const Job& job) {
  const Workload& workload = loaded.workload;
  const auto bins = static_cast<std::size_t>(options.bins);
  const double step = workload.trace.duration_s / static_cast<double>(bins);
  PolicyTimeline line;
  line.policy = spec.text;
  line.power_w.resize(bins);
  line.temp_c.resize(bins);
  line.freq_hz.assign(workload.platform.clusters.size(), Values(bins));
  line.apps.assign(workload.trace.apps.size(), {Values(bins), Values(bins), Values(bins)});
  SimOptions sim;
  sim.seed = seed;
  sim.governors = spec.governors;
  sim.sample_s = step;
  sim.on_inference = [&](const InferenceRecord& record) {
    AppTimeline& app = line.apps[static_cast<std::size_t>(record.app)];
    const std::size_t bin = std::min(bins - 1, static_cast<std::size_t>(record.done_s / step));
    app.level[bin] = record.level;
    app.latency_s[bin] = std::max(app.latency_s[bin].value_or(0), record.done_s - record.scheduled_s);
    app.target_s[bin] = record.target_s;
    if (options.keep_inferences) line.inferences.push_back(record);
  };
  std::size_t next = 0;
  sim.on_sample = [&](const SimSample& sample) {
    if (next >= bins) return;  // what is left after the last bin is rounding
    line.power_w[next] = sample.power_w;
    line.temp_c[next] = sample.temp_c;
    for (std::size_t k = 0; k < sample.opps.size(); ++k)
      line.freq_hz[k][next] =
          workload.platform.clusters[k].opps[static_cast<std::size_t>(sample.opps[k])].freq_hz;
    ++next;
  };
  const std::unique_ptr<Policy> policy = make_policy(spec.policy);
  (void)simulate(workload, *policy, sim, job);
  return line;
}

bool any(const Values& values) {
  return std::any_of(values.begin(), values.end(), [](const auto& v) { return v.has_value(); });
}

Values scaled(const Values& values, double factor) {
  Values out = values;
  for (auto& v : out) {
    if (v) *v *= factor;
  }
  return out;
}

// A chart with a line for each policy; nothing where none has a value.
template <typename Pick>
void add_chart(Page& page, const Timeline& timeline, const std::string& title, const std::string& unit,
               bool stepped, double factor, Pick&& pick) {
  PageChart chart{title, unit, stepped, timeline.end_s, {}};
  for (std::size_t p = 0; p < timeline.policies.size(); ++p) {
    const Values& values = pick(timeline.policies[p]);
    if (any(values))
      chart.series.push_back(
          {timeline.policies[p].policy, scaled(values, factor), static_cast<int>(p), false});
  }
  if (!chart.series.empty()) page.charts.push_back(std::move(chart));
}

}  // namespace

Timeline record_timeline(const LoadedWorkload& loaded, const ReplayOptions& replay,
                         const TimelineOptions& options, Job& job) {
  const double duration = loaded.workload.trace.duration_s;
  Timeline timeline;
  for (int b = 1; b <= options.bins; ++b) timeline.end_s.push_back(duration * b / options.bins);
  job.begin("time lines", static_cast<double>(replay.policies.size()));
  for (const std::string& text : replay.policies) {
    const PolicySpec spec = parse_policy_spec(text);
    if (!is_oracle(spec))
      timeline.policies.push_back(
          record(loaded, spec, replay.seed.value_or(loaded.workload.trace.seed), options, job));
    job.advance(1, text);
  }
  job.end();
  return timeline;
}

Page replay_page(const LoadedWorkload& loaded, const Json& report, const Timeline& timeline) {
  const Workload& workload = loaded.workload;
  Page page;
  page.title = fmt::format("dsn replay: {} on {}", fs::path(workload.trace.file).filename().string(),
                           workload.platform.name);
  page.notes.push_back(fmt::format(
      "Simulated, {:g} s, seed {}. Powers are {}.", workload.trace.duration_s, report.at("seed").dump(),
      workload.platform.power_known ? fmt::format("of {}", workload.platform.power_rail)
                                    : std::string("not known of this platform")));
  for (const Json& warning : report.at("warnings")) page.notes.push_back(warning.get<std::string>());
  page.table = replay_table(report);
  for (std::size_t a = 0; a < workload.trace.apps.size(); ++a) {
    const std::string& name = workload.trace.apps[a].name;
    add_chart(page, timeline, fmt::format("{}: level", name), "level", true, 1,
              [a](const PolicyTimeline& p) -> const Values& { return p.apps[a].level; });
    add_chart(page, timeline, fmt::format("{}: longest latency, and the target", name), "ms", false, 1e3,
              [a](const PolicyTimeline& p) -> const Values& { return p.apps[a].latency_s; });
    const auto with_target = std::find_if(timeline.policies.begin(), timeline.policies.end(),
                                          [a](const PolicyTimeline& p) { return any(p.apps[a].target_s); });
    if (with_target != timeline.policies.end())
      page.charts.back().series.push_back({"target", scaled(with_target->apps[a].target_s, 1e3), 7, true});
  }
  for (std::size_t k = 0; k < workload.platform.clusters.size(); ++k) {
    add_chart(page, timeline, fmt::format("clock of {}", workload.platform.clusters[k].name), "MHz", true,
              1e-6, [k](const PolicyTimeline& p) -> const Values& { return p.freq_hz[k]; });
  }
  if (workload.platform.power_known) {
    add_chart(page, timeline, "power", "W", true, 1,
              [](const PolicyTimeline& p) -> const Values& { return p.power_w; });
  }
  add_chart(page, timeline, "temperature", "degrees C", false, 1,
            [](const PolicyTimeline& p) -> const Values& { return p.temp_c; });
  return page;
}

std::string chrome_trace(const LoadedWorkload& loaded, const Timeline& timeline) {
  const Workload& workload = loaded.workload;
  std::string out = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
  bool first = true;
  const auto add = [&](const std::string& event) {
    if (!first) out += ",\n";
    first = false;
    out += event;
  };
  const auto named = [&](const char* what, std::size_t pid, std::size_t tid, const std::string& name) {
    add(fmt::format(R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{"name":{}}}}})", what, pid, tid,
                    Json(name).dump()));
  };
  const auto counter = [&](std::size_t pid, double at_s, const std::string& name,
                           const std::optional<double>& value) {
    if (value)
      add(fmt::format(R"({{"ph":"C","pid":{},"ts":{:.3f},"name":{},"args":{{"value":{:.7g}}}}})", pid,
                      at_s * 1e6, Json(name).dump(), *value));
  };
  for (std::size_t p = 0; p < timeline.policies.size(); ++p) {
    const PolicyTimeline& line = timeline.policies[p];
    const std::size_t pid = p + 1;
    named("process_name", pid, 0, line.policy);
    for (std::size_t a = 0; a < workload.trace.apps.size(); ++a)
      named("thread_name", pid, a + 1, workload.trace.apps[a].name);
    for (const InferenceRecord& r : line.inferences) {
      add(fmt::format(
          R"({{"ph":"X","name":"level {}","pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f},"args":{{"arrival":{},"opp":{},)"
          R"("waited_ms":{:.6g},"latency_ms":{:.6g},"target_ms":{:.6g},"met":{},"energy_mj":{:.6g}}}}})",
          r.level, pid, r.app + 1, r.start_s * 1e6, (r.done_s - r.start_s) * 1e6, r.arrival, r.opp,
          (r.start_s - r.scheduled_s) * 1e3, (r.done_s - r.scheduled_s) * 1e3, r.target_s * 1e3, r.met,
          r.energy_j * 1e3));
    }
    for (std::size_t b = 0; b < timeline.end_s.size(); ++b) {
      counter(pid, timeline.end_s[b], "power W", line.power_w[b]);
      counter(pid, timeline.end_s[b], "temperature C", line.temp_c[b]);
      for (std::size_t k = 0; k < line.freq_hz.size(); ++k) {
        if (b == 0 || line.freq_hz[k][b] != line.freq_hz[k][b - 1])
          counter(pid, timeline.end_s[b], workload.platform.clusters[k].name + " Hz", line.freq_hz[k][b]);
      }
    }
  }
  return out + "\n]}\n";
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/replay/trace_parts.h"
#include "dsn/runtime/policy.h"

// Types, ranges and unknown keys are the schema's work (dsn.trace.json); here is what it cannot say: what
// excludes what, what depends on the kind of a task, and time.

namespace dsn {
namespace {

constexpr double kSlack = 1e-9;  // relative rounding of sums of decimal times

void check_name(const std::string& name, const JsonView& v) {
  const bool good = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (!good) v.fail("a task name of 1 to 64 letters, digits, '_' and '-'");
}

ClusterRef cluster_ref(const JsonView& parent) {
  if (!parent.json().contains("cluster")) return {{}, parent.pointer()};
  return {parent["cluster"].text(), parent["cluster"].pointer()};
}

fs::path path_at(const JsonView& v, const fs::path& folder) {
  return (folder / v.text()).lexically_normal();
}

struct Span {
  double start_s = 0, duration_s = 0;
};

// Start and length of a phase that follows one ending at `previous_end`.
Span read_span(const JsonView& v, double previous_end, bool last, double trace_duration) {
  Span span{previous_end, 0};
  if (v.has("start_s")) {
    const JsonView start = v["start_s"];
    span.start_s = start.number();
    if (span.start_s < previous_end * (1 - kSlack)) {
      start.fail(
          fmt::format("at least {} s, where the phase before ends: phases must not overlap", previous_end));
    }
    if (span.start_s >= trace_duration)
      start.fail(fmt::format("less than global.duration_s ({} s)", trace_duration));
  } else if (span.start_s >= trace_duration * (1 - kSlack)) {
    v.fail(fmt::format("a phase that starts before global.duration_s ({} s)", trace_duration));
  }
  if (v.has("duration_s")) {
    span.duration_s = v["duration_s"].number();
    if (span.start_s + span.duration_s > trace_duration * (1 + kSlack)) {
      v["duration_s"].fail(fmt::format("an end at or before global.duration_s ({} s)", trace_duration));
    }
  } else if (last) {
    span.duration_s = trace_duration - span.start_s;
  } else {
    v.fail("a duration_s, which only the last phase may leave out");
  }
  return span;
}

// Calls read(phase, span) for every phase, in order.
template <typename Read>
void read_phases(const JsonView& v, double trace_duration, Read&& read) {
  double end = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    const JsonView phase = v[i];
    const Span span = read_span(phase, end, i + 1 == v.size(), trace_duration);
    end = span.start_s + span.duration_s;
    read(phase, span);
  }
}

TraceApp read_app(const JsonView& v, const std::string& name, const fs::path& folder, double trace_duration) {
  TraceApp app;
  app.name = name;
  app.pointer = v.pointer();
  if (v.has("bundle")) {
    refuse(v, {"family", "lut"}, "beside a bundle, which brings its own");
    app.bundle = path_at(v["bundle"], folder);
  } else {
    app.family = path_at(v["family"], folder);
    app.lut = path_at(v["lut"], folder);
  }
  app.target_s = v["target_s"].number();
  app.probability = optional_number(v, "probability").value_or(app.probability);
  app.min_accuracy = optional_number(v, "min_accuracy").value_or(app.min_accuracy);
  if (v.has("placement")) {
    const JsonView placement = v["placement"];
    app.cluster = cluster_ref(placement);
    if (placement.has("threads")) app.threads = static_cast<int>(placement["threads"].integer(1, 1024));
  }
  if (v.has("on_overrun")) app.on_overrun = parse_overrun(v["on_overrun"]);
  read_phases(v["phases"], trace_duration, [&](const JsonView& phase, const Span& span) {
    refuse(phase, {"cluster", "busy", "threads", "run_s", "runtime_s", "period_s", "memory_share"},
           "in a phase of an app (kind contender has it)");
    app.phases.push_back({optional_text(phase, "name"), span.start_s, span.duration_s,
                          read_arrivals(phase["arrivals"], span.duration_s)});
  });
  return app;
}

TraceContender read_contender(const JsonView& v, const std::string& name, double trace_duration) {
  refuse(v, {"family", "lut", "bundle", "target_s", "probability", "min_accuracy", "placement", "on_overrun"},
         "in a contender (kind app has it)");
  TraceContender contender{name, v.pointer(), {}};
  read_phases(v["phases"], trace_duration, [&](const JsonView& phase, const Span& span) {
    refuse(phase, {"arrivals"}, "in a phase of a contender (kind app has it)");
    ContenderPhase out;
    out.name = optional_text(phase, "name");
    out.start_s = span.start_s;
    out.duration_s = span.duration_s;
    out.cluster = cluster_ref(phase);
    if (phase.has("busy")) {
      refuse(phase, {"run_s", "runtime_s", "period_s", "threads"}, "beside busy (threads that never stop)");
      out.threads = static_cast<int>(phase["busy"].integer(1, 1024));
    } else if (phase.has("period_s") && phase.has("run_s") != phase.has("runtime_s")) {
      if (phase.has("run_s")) out.run_s = phase["run_s"].number();
      if (phase.has("runtime_s")) out.runtime_s = phase["runtime_s"].number(0, phase["period_s"].number());
      out.period_s = phase["period_s"].number();
      if (phase.has("threads")) out.threads = static_cast<int>(phase["threads"].integer(1, 1024));
    } else {
      phase.fail("either busy, or period_s and one of run_s and runtime_s");
    }
    out.memory_share = optional_number(phase, "memory_share").value_or(0);
    contender.phases.push_back(std::move(out));
  });
  return contender;
}

SetEvent read_set(const JsonView& v, const Trace& trace) {
  const std::string task = v["task"].text();
  const auto app =
      std::find_if(trace.apps.begin(), trace.apps.end(), [&](const TraceApp& a) { return a.name == task; });
  if (app == trace.apps.end()) v["task"].fail("the name of a task of kind app");
  SetEvent set{static_cast<std::size_t>(app - trace.apps.begin()), optional_number(v, "target_s"),
               optional_number(v, "probability"), optional_number(v, "min_accuracy")};
  if (!set.target_s && !set.probability && !set.min_accuracy) v.fail("target_s, probability or min_accuracy");
  return set;
}

void read_tasks(const JsonView& tasks, const fs::path& folder, Trace& trace) {
  for (const auto& item : tasks.json().items()) {
    const JsonView v = tasks[item.key()];
    check_name(item.key(), v);
    if (optional_text(v, "kind") == "contender") {
      trace.contenders.push_back(read_contender(v, item.key(), trace.duration_s));
      if (trace.contenders.size() > kMaxContenders)
        v.fail(fmt::format("at most {} contenders", kMaxContenders));
    } else {
      trace.apps.push_back(read_app(v, item.key(), folder, trace.duration_s));
      if (trace.apps.size() > kMaxApps) v.fail(fmt::format("at most {} tasks of kind app", kMaxApps));
    }
  }
  if (trace.apps.empty()) tasks.fail("at least one task of kind app");
}

decltype(TraceEvent::what) read_what(const JsonView& v, const Trace& trace) {
  constexpr const char* kKinds[] = {"set", "cap", "mode", "hotplug", "ambient_c"};
  if (std::count_if(std::begin(kKinds), std::end(kKinds), [&](const char* kind) { return v.has(kind); }) != 1)
    v.fail("one of set, cap, mode, hotplug and ambient_c");
  if (v.has("set")) return read_set(v["set"], trace);
  if (v.has("cap")) return CapEvent{cluster_ref(v["cap"]), optional_number(v["cap"], "max_freq_hz")};
  if (v.has("mode")) return ModeEvent{v["mode"].text()};
  if (v.has("ambient_c")) return AmbientEvent{v["ambient_c"].number()};
  return HotplugEvent{cluster_ref(v["hotplug"]), static_cast<int>(v["hotplug"]["online"].integer(1, 1024))};
}

void read_events(const JsonView& events, Trace& trace) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    const JsonView v = events[i];
    const JsonView at = v["at_s"];
    TraceEvent event{at.number(), v.pointer(), {}};
    if (!trace.events.empty() && event.at_s < trace.events.back().at_s) {
      at.fail(fmt::format("at least {} s: events are in time order", trace.events.back().at_s));
    }
    if (event.at_s >= trace.duration_s)
      at.fail(fmt::format("less than global.duration_s ({} s)", trace.duration_s));
    event.what = read_what(v, trace);
    trace.events.push_back(std::move(event));
  }
}

}  // namespace

Trace load_trace(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::is_regular_file(path, error) ? fs::file_size(path, error) : 0;
  if (!error && size > kMaxTraceBytes) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: found {} bytes, expected a trace of at most {}",
                                                  path.string(), size, kMaxTraceBytes));
  }
  return parse_trace(read_json(path, /*allow_comments=*/true), path.string(), path.parent_path());
}

Trace parse_trace(const Json& document, const std::string& file, const fs::path& folder) {
  check_schema(document, "dsn.trace", file);
  const JsonView v(document, file);
  Trace trace;
  trace.file = file;
  trace.sha256 = sha256_hex(dump_json(document));
  const JsonView global = v["global"];
  trace.duration_s = global["duration_s"].number();
  if (global.has("seed")) {
    trace.seed =
        static_cast<std::uint64_t>(global["seed"].integer(0, std::numeric_limits<std::int64_t>::max()));
  }
  if (global.has("noise")) trace.noise = global["noise"].boolean();
  if (v.has("platform")) trace.platform = path_at(v["platform"], folder);
  read_tasks(v["tasks"], folder, trace);
  if (v.has("events")) read_events(v["events"], trace);
  return trace;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/chrome_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "dsn/core/units.h"

namespace dsn {
namespace {

// Perfetto groups tracks by process: applications and clusters are one each.
constexpr int kApps = 1, kClusters = 2;

double microseconds(double seconds) noexcept {
  return std::round(seconds * 1e9) / 1e3;
}

Json event(const char* phase, const std::string& name, int process, std::size_t track, double at_s) {
  return {{"ph", phase}, {"name", name}, {"pid", process}, {"tid", track + 1}, {"ts", microseconds(at_s)}};
}

Json slice(const std::string& name, int process, std::size_t track, double from_s, double to_s, Json args) {
  Json made = event("X", name, process, track, from_s);
  made["dur"] = microseconds((microseconds(to_s) - microseconds(from_s)) / 1e6);
  made["args"] = std::move(args);
  return made;
}

Json instant(const std::string& name, int process, std::size_t track, double at_s, Json args) {
  Json made = event("i", name, process, track, at_s);
  made["s"] = "t";  // drawn on its own track only
  made["args"] = std::move(args);
  return made;
}

Json name_event(const char* what, const std::string& name, int process, std::size_t track) {
  return {{"ph", "M"}, {"name", what}, {"pid", process}, {"tid", track}, {"args", {{"name", name}}}};
}

}  // namespace

ChromeTrace::ChromeTrace(const RunBoard& board, Sink sink) : board_(board), sink_(std::move(sink)) {}

bool ChromeTrace::begun() {
  if (description_ != nullptr) return true;
  description_ = board_.description();
  if (description_ == nullptr) return false;
  apps_.resize(description_->apps.size());
  clusters_.resize(description_->clusters.size());
  name_tracks();
  return true;
}

void ChromeTrace::name_tracks() {
  sink_(name_event("process_name", "applications", kApps, 0));
  for (std::size_t a = 0; a < apps_.size(); ++a)
    sink_(name_event("thread_name", description_->apps[a].name, kApps, a + 1));
  sink_(name_event("process_name", "clusters", kClusters, 0));
  for (std::size_t c = 0; c < clusters_.size(); ++c)
    sink_(name_event("thread_name", description_->clusters[c].name, kClusters, c + 1));
}

void ChromeTrace::add(std::size_t app, const LiveRecord& record) {
  const std::lock_guard lock(mutex_);
  if (!begun() || app >= apps_.size()) return;
  if (record.skipped) {
    sink_(instant("skipped", kApps, app, record.scheduled_s, {{"frame", record.index}}));
    return;
  }
  decision(app, record);
  wait_and_inference(app, record);
  counter(kApps, description_->apps[app].name + ": slowdown", "times", record.slowdown, record.done_s);
  apps_[app].last = record;
}

// What changed, where something did: one for every inference would hide these.
void ChromeTrace::decision(std::size_t app, const LiveRecord& record) {
  const auto& last = apps_[app].last;
  std::string what;
  if (!last || last->level != record.level)
    what += last ? fmt::format(", level {} to {}", last->level, record.level)
                 : fmt::format(", level {}", record.level);
  if (last && last->placement != record.placement) {
    const auto& names = description_->apps[app].placements;
    const auto at = static_cast<std::size_t>(record.placement);
    what += fmt::format(", to {}", at < names.size() ? names[at] : std::to_string(record.placement));
  }
  if (last && last->opp != record.opp) what += fmt::format(", OPP {} to {}", last->opp, record.opp);
  if (last && last->feasible != record.feasible) what += record.feasible ? ", feasible" : ", infeasible";
  if (what.empty()) return;
  sink_(instant("decision: " + what.substr(2), kApps, app, record.start_s,
                {{"decision_s", record.decision_s},
                 {"slowdown", last ? last->slowdown : 1},
                 {"target_s", record.target_s},
                 {"feasible", record.feasible}}));
}

void ChromeTrace::wait_and_inference(std::size_t app, const LiveRecord& record) {
  AppTrack& track = apps_[app];
  // Slices of one track must not overlap: a frame that arrived while the one before ran waits after that.
  const double from_s = std::max(record.scheduled_s, track.busy_until_s);
  if (record.start_s > from_s)
    sink_(slice("wait", kApps, app, from_s, record.start_s,
                {{"frame", record.index}, {"arrived_s", record.scheduled_s}}));
  Json args = {{"frame", record.index},       {"latency_s", record.latency_s()},
               {"target_s", record.target_s}, {"met", record.met()},
               {"opp", record.opp},           {"placement", record.placement},
               {"slowdown", record.slowdown}, {"decision_s", record.decision_s}};
  sink_(slice(fmt::format("level {}", record.level), kApps, app, record.start_s, record.done_s,
              std::move(args)));
  if (!record.met())
    sink_(instant("deadline missed", kApps, app, record.done_s,
                  {{"frame", record.index}, {"late_s", record.latency_s() - record.target_s}}));
  track.busy_until_s = record.done_s;
}

void ChromeTrace::sample() {
  const std::lock_guard lock(mutex_);
  if (!begun()) return;
  const RunState state = board_.read();
  if (state.now_s < 0) return;
  for (std::size_t c = 0; c < clusters_.size(); ++c) counters(c, state.clusters[c], state.now_s);
  if (std::isfinite(state.power_w)) counter(kClusters, "power", "W", state.power_w, state.now_s);
}

void ChromeTrace::counters(std::size_t cluster, const ClusterState& state, double now_s) {
  ClusterTrack& track = clusters_[cluster];
  const std::string& name = description_->clusters[cluster].name;
  const auto show = [&](const char* what, const char* unit, double value, double before) {
    if (std::isfinite(value) && value != before)
      counter(kClusters, fmt::format("{}: {}", name, what), unit, value, now_s);
  };
  const ClusterState before = track.last.value_or(ClusterState{.opp = -1, .others_load = -1});
  show("OPP", "index", state.opp, before.opp);
  show("frequency", "Hz", state.freq_hz > 0 ? state.freq_hz : kUnknown, before.freq_hz);
  show("power", "W", state.power_w, before.power_w);
  show("temperature", "C", state.temp_c, before.temp_c);
  show("other work", "cores", state.others_load >= 0 ? state.others_load : kUnknown, before.others_load);
  if (track.last && (track.last->opp != state.opp || track.last->held != state.held))
    end_point(cluster, now_s);
  track.last = state;
}

void ChromeTrace::end_point(std::size_t cluster, double now_s) {
  ClusterTrack& track = clusters_[cluster];
  const auto& points = description_->clusters[cluster].freq_hz;
  const auto opp = static_cast<std::size_t>(track.last->opp);
  const double freq_hz = opp < points.size() ? points[opp] : 0;
  const std::string name = freq_hz > 0 ? format_frequency(freq_hz) : fmt::format("OPP {}", opp);
  sink_(slice(name, kClusters, cluster, track.since_s, now_s,
              {{"opp", track.last->opp}, {"held", track.last->held}}));
  track.since_s = now_s;
}

void ChromeTrace::counter(int process, const std::string& name, const char* unit, double value,
                          double now_s) {
  Json made = {{"ph", "C"}, {"name", name}, {"pid", process}, {"ts", microseconds(now_s)}};
  made["args"] = Json{{unit, value}};
  sink_(made);
}

void ChromeTrace::finish() {
  const std::lock_guard lock(mutex_);
  if (!begun()) return;
  const double now_s = std::max(0.0, board_.read().now_s);
  for (std::size_t c = 0; c < clusters_.size(); ++c)
    if (clusters_[c].last && now_s > clusters_[c].since_s) end_point(c, now_s);
}

}  // namespace dsn

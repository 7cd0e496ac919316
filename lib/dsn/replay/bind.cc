// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/bind.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "dsn/core/error.h"
#include "dsn/replay/governor.h"

namespace dsn {

std::size_t bind_cluster(const Trace& trace, const ClusterRef& ref, const Platform& platform) {
  if (ref.name.empty()) return 0;
  for (std::size_t k = 0; k < platform.clusters.size(); ++k) {
    if (platform.clusters[k].name == ref.name) return k;
  }
  std::string names;
  for (const Cluster& cluster : platform.clusters) names += (names.empty() ? "" : ", ") + cluster.name;
  throw Error(ErrorCode::bad_input,
              fmt::format("{}: {}: found \"{}\", expected a cluster of platform {} ({})", trace.file,
                          ref.pointer, ref.name, platform.name, names));
}

int capped_opp(const Cluster& cluster, const std::optional<double>& max_freq_hz) noexcept {
  int opp = static_cast<int>(cluster.opps.size()) - 1;
  if (max_freq_hz) {
    while (opp > 0 && cluster.opps[static_cast<std::size_t>(opp)].freq_hz > *max_freq_hz) --opp;
  }
  return opp;
}

const PowerMode& bind_mode(const Trace& trace, const TraceEvent& event, const Platform& platform) {
  const std::string& name = std::get<ModeEvent>(event.what).mode;
  std::vector<std::string> names;
  for (const PowerMode& mode : platform.modes) {
    if (mode.name == name) return mode;
    names.push_back(mode.name);
  }
  throw Error(ErrorCode::bad_input,
              fmt::format("{}: {}/mode: found \"{}\", expected a power mode of platform {} ({})", trace.file,
                          event.pointer, name, platform.name, fmt::join(names, ", ")));
}

std::vector<std::pair<std::size_t, int>> online_after(const TraceEvent& event, const Workload& workload) {
  const Platform& platform = workload.platform;
  if (const auto* plug = std::get_if<HotplugEvent>(&event.what))
    return {{bind_cluster(workload.trace, plug->cluster, platform), plug->online}};
  if (!std::holds_alternative<ModeEvent>(event.what)) return {};
  int left = bind_mode(workload.trace, event, platform).cpus_online;
  const bool all = left == 0;
  std::vector<std::pair<std::size_t, int>> online;
  for (std::size_t k = 0; k < platform.clusters.size(); ++k) {
    if (platform.clusters[k].kind == ClusterKind::gpu) continue;
    const int cores = core_count(platform.clusters[k]);
    // What a mode takes whole is left with one: an inference may be placed there.
    online.emplace_back(k, all ? cores : std::clamp(left, 1, cores));
    left -= std::min(left, cores);
  }
  return online;
}

namespace {

void check_event(const TraceEvent& event, const Workload& workload) {
  const Trace& trace = workload.trace;
  const Platform& platform = workload.platform;
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorCode::bad_input, fmt::format("{}: {}: {}", trace.file, event.pointer, what));
  };
  if (const auto* cap = std::get_if<CapEvent>(&event.what)) {
    const Cluster& cluster = platform.clusters[bind_cluster(trace, cap->cluster, platform)];
    if (cluster.opps.back().freq_hz == 0)
      fail(fmt::format("found a cap on cluster {}, expected a cluster with known frequencies", cluster.name));
  } else if (const auto* plug = std::get_if<HotplugEvent>(&event.what)) {
    const Cluster& cluster = platform.clusters[bind_cluster(trace, plug->cluster, platform)];
    if (cluster.kind == ClusterKind::gpu || plug->online > core_count(cluster))
      fail(fmt::format("found {} CPUs online on cluster {}, expected 1 to {}", plug->online, cluster.name,
                       cluster.kind == ClusterKind::gpu ? 0 : core_count(cluster)));
  } else if (std::holds_alternative<ModeEvent>(event.what)) {
    (void)bind_mode(trace, event, platform);
  } else if (std::holds_alternative<AmbientEvent>(event.what) && platform.thermal.resistance_c_per_w == 0) {
    fail(fmt::format("found a temperature, expected none: platform {} has no thermal model", platform.name));
  }
}

}  // namespace

void check_workload(const Workload& workload) {
  const Trace& trace = workload.trace;
  const Platform& platform = workload.platform;
  if (platform.clusters.empty() || platform.clusters.size() > kMaxClusters) {
    throw Error(ErrorCode::bad_input, fmt::format("platform {}: found {} clusters, expected 1 to {}",
                                                  platform.name, platform.clusters.size(), kMaxClusters));
  }
  if (workload.costs.size() != trace.apps.size() || trace.apps.empty() || trace.apps.size() > kMaxApps) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: found {} applications and {} cost tables, expected as many of each, 1 to {}",
                            trace.file, trace.apps.size(), workload.costs.size(), kMaxApps));
  }
  for (const TraceContender& contender : trace.contenders) {
    for (const ContenderPhase& phase : contender.phases) (void)bind_cluster(trace, phase.cluster, platform);
  }
  for (const TraceEvent& event : trace.events) check_event(event, workload);
}

}  // namespace dsn

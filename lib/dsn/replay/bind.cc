// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/bind.h"

#include <fmt/format.h>

#include "dsn/core/error.h"

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
  for (const TraceEvent& event : trace.events) {
    const auto* cap = std::get_if<CapEvent>(&event.what);
    if (cap == nullptr) continue;
    const Cluster& cluster = platform.clusters[bind_cluster(trace, cap->cluster, platform)];
    if (cluster.opps.back().freq_hz == 0) {
      throw Error(ErrorCode::bad_input,
                  fmt::format("{}: {}: found a cap on cluster {}, expected a cluster with known frequencies",
                              trace.file, event.pointer, cluster.name));
    }
  }
}

}  // namespace dsn

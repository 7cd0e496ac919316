// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/power.h"

#include <algorithm>

namespace dsn {

std::optional<double> modelled_power_w(const Platform& platform, std::string_view cluster, double freq_hz,
                                       int threads) {
  if (platform.power_rail.empty()) return std::nullopt;
  const auto own = std::find_if(platform.clusters.begin(), platform.clusters.end(),
                                [&](const Cluster& c) { return c.name == cluster; });
  if (own == platform.clusters.end()) return std::nullopt;
  const auto opp = std::find_if(own->opps.begin(), own->opps.end(),
                                [&](const Opp& row) { return row.freq_hz == freq_hz; });
  if (opp == own->opps.end() || !opp->busy_power_w || !opp->idle_power_w) return std::nullopt;
  const auto cores = static_cast<double>(own->cpus.size());
  const bool whole = own->kind == ClusterKind::gpu || cores == 0;
  const double share = whole ? 1.0 : std::min(1.0, threads / cores);
  return platform.base_power_w + *opp->idle_power_w + share * (*opp->busy_power_w - *opp->idle_power_w);
}

}  // namespace dsn

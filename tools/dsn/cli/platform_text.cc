// SPDX-License-Identifier: Apache-2.0
#include "cli/platform_text.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "cli/table.h"
#include "dsn/core/units.h"

namespace dsn::cli {
namespace {

// "0-3,6" for a sorted list.
std::string cpu_ranges(const std::vector<int>& cpus) {
  std::string text;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ",", cpus[i]);
    if (last > i) text += fmt::format("-{}", cpus[last]);
    i = last + 1;
  }
  return text.empty() ? "-" : text;
}

std::string frequency_range(const Cluster& cluster) {
  const double lowest = cluster.opps.front().freq_hz, highest = cluster.opps.back().freq_hz;
  if (highest <= 0) return "unknown";
  if (cluster.opps.size() == 1) return format_frequency(highest);
  return fmt::format("{} to {}", format_frequency(lowest), format_frequency(highest));
}

std::string power_range(const Cluster& cluster) {
  const Opp& low = cluster.opps.front();
  const Opp& high = cluster.opps.back();
  if (!low.idle_power_w || !high.busy_power_w) return "unknown";
  return fmt::format("{} idle to {} busy ({})", format_power(*low.idle_power_w),
                     format_power(*high.busy_power_w), to_string(cluster.power_origin));
}

}  // namespace

std::string platform_text(const Platform& platform, const FrequencyControl* control) {
  Table table;
  for (const char* heading : {"cluster", "kind", "CPUs"}) table.column(heading, Table::Align::left);
  table.column("OPPs");
  for (const char* heading : {"frequency", "knob", "power"}) table.column(heading, Table::Align::left);
  if (control != nullptr) table.column("can set", Table::Align::left);
  for (std::size_t c = 0; c < platform.clusters.size(); ++c) {
    const Cluster& cluster = platform.clusters[c];
    std::vector<std::string> cells{cluster.name,
                                   cluster.kind == ClusterKind::cpu ? "cpu" : "gpu",
                                   cpu_ranges(cluster.cpus),
                                   std::to_string(cluster.opps.size()),
                                   frequency_range(cluster),
                                   cluster.knob.empty() ? "none" : cluster.knob,
                                   power_range(cluster)};
    if (control != nullptr) cells.emplace_back(control->can_set(c) ? "yes" : "no");
    table.row(std::move(cells));
  }
  std::string text = fmt::format("{}\n{}", platform.name, table.str());
  if (!platform.modes.empty()) {
    text += "power modes:";
    for (const PowerMode& mode : platform.modes) text += " " + mode.name;
    text += '\n';
  }
  return text;
}

}  // namespace dsn::cli

// SPDX-License-Identifier: Apache-2.0
// dsn platform: what this machine, or a described one, is made of.
#include <fmt/format.h>

#include <memory>

#include "cli/flags.h"
#include "cli/table.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/core/units.h"
#include "dsn/platform/dvfs.h"
#include "dsn/platform/platform.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string file, root, out;
};

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

std::string describe(const Platform& platform, const FrequencyControl* control) {
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

int run(const Flags& flags, const Session& session) {
  const bool described = !flags.file.empty();
  if (described && !flags.root.empty()) {
    throw Error(ErrorCode::bad_usage, "FILE and --root exclude each other: --root is for discovering");
  }
  if (!flags.out.empty()) check_writable(flags.out);
  const Platform platform =
      described ? load_platform(flags.file) : parse_platform(discover_platform(flags.root), "this machine");
  if (!described && platform.document.contains("warnings")) {
    for (const auto& warning : platform.document["warnings"]) session.job.warn(warning.get<std::string>());
  }
  if (!flags.out.empty()) write_file_atomic(flags.out, dump_json(platform.document));
  // A described board is usually not this machine: nothing to say about its knobs.
  const auto control = described ? nullptr : make_cpufreq_control(platform, flags.root);
  session.result(platform.document, describe(platform, control.get()));
  return done_status();
}

}  // namespace

Command add_platform(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App& app = *root.add_subcommand(
      "platform", "Describe this machine (or a dsn.platform file): clusters, frequencies, power");
  add_path(app, "FILE", flags->file, "A dsn.platform file; without it this machine is discovered");
  add_path(app, "--root", flags->root,
           "Discover under this folder instead of / (a copy of another machine's /sys and /proc)");
  add_path(app, "-o,--out", flags->out,
           "Write the description here, to edit or to give to profile and replay");
  add_common(app, common, "dsn platform --out this.platform.json",
             "dsn platform profiles/jetson-xavier-nx.platform.json");
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli

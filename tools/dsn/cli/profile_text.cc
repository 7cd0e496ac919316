// SPDX-License-Identifier: Apache-2.0
#include "cli/profile_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/table.h"
#include "dsn/core/stats.h"
#include "dsn/core/units.h"

namespace dsn::cli {
namespace {

// What a person calls a sub-network.
std::string name_of(const SubnetConfig& config, const SearchSpace& space,
                    const std::vector<SubnetConfig>& levels) {
  const auto level = std::find(levels.begin(), levels.end(), config);
  if (level != levels.end()) return fmt::format("level {}", level - levels.begin());
  if (config == space.canonical(space.smallest())) return "smallest";
  if (config == space.canonical(space.largest())) return "largest";
  return "random";
}

template <typename Rows>
Scale scale_of(const Lut& lut, const Rows& rows_of) {
  double largest = 0;
  for (const auto& level : lut.levels)
    for (const auto& [point, entry] : rows_of(level)) largest = std::max(largest, entry.latency_s);
  return duration_scale(largest);
}

}  // namespace

std::string checks_table(const std::vector<PointReport>& reports, const SearchSpace& space,
                         const std::vector<SubnetConfig>& levels) {
  double largest = 0;
  for (const auto& report : reports) {
    for (const auto& check : report.checks) largest = std::max({largest, check.measured_s, check.unit_sum_s});
  }
  const Scale scale = duration_scale(largest);
  Table table;
  table.column("point", Table::Align::left);
  table.column("sub-network", Table::Align::left);
  table.column("MMACs");
  table.column("blocks " + scale.unit);
  table.column("corrected " + scale.unit);
  table.column("measured " + scale.unit);
  table.column("error %");
  for (const auto& report : reports) {
    for (const auto& check : report.checks) {
      table.row({describe(report.point), check.held_out ? "held out" : name_of(check.config, space, levels),
                 fmt::format("{:.2f}", static_cast<double>(make_network(space, check.config).macs()) / 1e6),
                 format_scaled(check.unit_sum_s, scale), format_scaled(check.predicted_s, scale),
                 format_scaled(check.measured_s, scale),
                 fmt::format("{:+.1f}", check.relative_error() * 100)});
    }
  }
  return table.empty() ? std::string() : table.str();
}

std::string levels_table(const Lut& lut, const SearchSpace& space, const std::vector<SubnetConfig>& levels) {
  const Scale scale = scale_of(
      lut, [](const LutLevel& level) -> const auto& { return level.at; });
  Table table;
  table.column("point", Table::Align::left);
  table.column("sub-network", Table::Align::left);
  for (const char* heading : {"p50 ", "MAD ", "p99 "}) table.column(heading + scale.unit);
  table.column("samples");
  table.column("note", Table::Align::left);
  for (const auto& point : lut.points()) {
    for (const auto& level : lut.levels) {
      const auto found = level.at.find(point);
      if (found == level.at.end()) continue;
      const LutEntry& e = found->second;
      table.row({describe(point), name_of(level.config, space, levels), format_scaled(e.latency_s, scale),
                 format_scaled(e.mad_s, scale), e.p99_s ? format_scaled(*e.p99_s, scale) : "-",
                 std::to_string(e.samples), e.note});
    }
  }
  return table.str();
}

std::string loads_table(const Lut& lut, const SearchSpace& space, const std::vector<SubnetConfig>& levels) {
  const Scale scale = scale_of(
      lut, [](const LutLevel& level) -> const auto& { return level.beside; });
  Table table;
  for (const char* heading : {"point", "beside", "sub-network"}) table.column(heading, Table::Align::left);
  for (const char* heading : {"p50 ", "mean ", "p99 "}) table.column(heading + scale.unit);
  for (const char* heading : {"p50 x", "mean x"}) table.column(heading);
  for (const OperatingPoint& point : lut.points()) {
    for (const CoLoad& load : lut.loads(point)) {
      for (const LutLevel& level : lut.levels) {
        const LutEntry* e = lut.beside_entry(level.config, point, load);
        if (e == nullptr) continue;
        const auto slower = lut.slowdown(level.config, point, load);
        table.row({describe(point), describe(load), name_of(level.config, space, levels),
                   format_scaled(e->latency_s, scale), e->mean_s ? format_scaled(*e->mean_s, scale) : "-",
                   e->p99_s ? format_scaled(*e->p99_s, scale) : "-",
                   slower ? fmt::format("{:.2f}", slower->p50) : "-",
                   slower ? fmt::format("{:.2f}", slower->mean) : "-"});
      }
    }
  }
  return table.empty() ? std::string() : table.str();
}

namespace {

std::string fit_line(const PointReport& report) {
  std::vector<double> predicted[2],
      measured[2];  // of those in the fit, each left out once, and of those held out
  double largest = 0;
  for (const LevelCheck& check : report.checks) {
    predicted[check.held_out].push_back(check.predicted_s);
    measured[check.held_out].push_back(check.measured_s);
    if (check.held_out) largest = std::max(largest, std::abs(check.relative_error()));
  }
  std::string text;
  if (!predicted[0].empty())
    text += fmt::format("; blocks against end to end: MAPE {:.1f} %, Kendall tau {:.2f}, n={}",
                        mape(predicted[0], measured[0]) * 100, report.kendall_tau, predicted[0].size());
  if (!predicted[1].empty())
    text += fmt::format("; held out of the fit: MAPE {:.1f} %, largest {:.1f} %, Kendall tau {:.2f}, n={}",
                        mape(predicted[1], measured[1]) * 100, largest * 100,
                        kendall_tau(predicted[1], measured[1]), predicted[1].size());
  return text;
}

std::string speed_line(const PointReport& report, const Lut& lut) {
  const auto found = lut.speeds.find(report.point);
  if (found == lut.speeds.end() || report.measured == 0) return {};
  const Lut::Speed& speed = found->second;
  std::string text =
      fmt::format("{}: machine at its own speed ({} multiply-adds/s) in {} of {} looks, slowest {} of it",
                  describe(report.point), format_count(speed.own_per_s), format_percent(1 - speed.slow_share),
                  speed.probes, format_percent(speed.lowest_per_s / speed.own_per_s));
  if (speed.waited_s > 0.01) text += fmt::format("; waited {} for it", format_duration(speed.waited_s));
  if (report.set_aside > 0) text += fmt::format("; {} samples measured again", report.set_aside);
  if (report.disturbed > 0)
    text += fmt::format("; {} of {} entries are of a slower machine all the same, and marked",
                        report.disturbed, report.measured);
  return text + "\n";
}

}  // namespace

std::string profile_summary(const std::vector<PointReport>& reports, const Lut& lut) {
  std::string text;
  for (const auto& report : reports) {
    text += fmt::format("{}: {} entries measured", describe(report.point), report.measured);
    if (report.reused > 0) text += fmt::format(", {} reused", report.reused);
    if (report.unsettled > 0) text += fmt::format(", {} not settled within --max-time", report.unsettled);
    text += fit_line(report);
    if (report.energies > 0) text += fmt::format("; energy of {} levels", report.energies);
    if (report.idle) text += fmt::format(", {} idle", format_power(report.idle->power_w()));
    text += '\n' + speed_line(report, lut);
  }
  return text;
}

std::string difference_text(const std::vector<LutDifference>& differences, const std::string& file) {
  std::string text;
  for (const LutDifference& difference : differences) {
    text += fmt::format("{}: against {}: {} sub-network{} end to end, median {:+.1f} %, largest {:+.1f} %",
                        describe(difference.point), file, difference.levels,
                        difference.levels == 1 ? "" : "s", difference.median * 100, difference.largest * 100);
    if (difference.speed_ratio > 0)
      text += fmt::format(" (the machine's own speed {:+.1f} %)", (difference.speed_ratio - 1) * 100);
    text += '\n';
  }
  return text;
}

}  // namespace dsn::cli

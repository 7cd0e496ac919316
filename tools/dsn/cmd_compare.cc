// SPDX-License-Identifier: Apache-2.0
// dsn compare: two families, fronts or published series on one picture, and how much better one is.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/flags.h"
#include "cli/table.h"
#include "commands.h"
#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/search/compare.h"
#include "dsn/search/front_plot.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string ours, baseline, plot, out;
};

// A family's chosen levels stand for it; a file of several other series needs a name.
PointSeries one_series(const std::string& file) {
  std::vector<PointSeries> all = load_series(file);
  const auto levels =
      std::find_if(all.begin(), all.end(), [](const PointSeries& s) { return s.name == "levels"; });
  if (levels != all.end()) return std::move(*levels);
  if (all.size() == 1) return std::move(all.front());
  std::string names;
  for (const PointSeries& series : all) names += (names.empty() ? "" : ", ") + series.name;
  throw Error(ErrorCode::bad_usage, fmt::format("{}: found {} series, expected one", file, all.size()),
              fmt::format("name one: FILE#NAME of {}", names));
}

// Of several series all but ours are baselines.
std::vector<PointSeries> baselines(const Flags& flags, const PointSeries& ours) {
  std::vector<PointSeries> all = load_series(flags.baseline);
  const bool same_file =
      flags.ours.substr(0, flags.ours.rfind('#')) == flags.baseline.substr(0, flags.baseline.rfind('#'));
  if (same_file) std::erase_if(all, [&](const PointSeries& series) { return series.name == ours.name; });
  const auto levels =
      std::find_if(all.begin(), all.end(), [](const PointSeries& s) { return s.name == "levels"; });
  if (levels != all.end()) return {std::move(*levels)};
  if (all.empty())
    throw Error(ErrorCode::bad_usage,
                fmt::format("{}: found only the series that it is compared with", flags.baseline));
  return all;
}

std::string times(const std::optional<double>& factor) {
  return factor ? fmt::format("{:.2f}", *factor) : "-";
}
std::string points(const std::optional<double>& gain) {
  return gain ? fmt::format("{:+.2f}", *gain * 100) : "-";
}

std::string table_of(const std::vector<Comparison>& comparisons, std::size_t top) {
  Table table;
  table.column("baseline", Table::Align::left);
  table.column("most accurate %");
  table.column("at");
  table.column("best speed-up");
  table.column("best gain, points");
  table.column("speed-up at its top");
  table.column("gain at its top");
  for (std::size_t i = 0; i < comparisons.size(); ++i) {
    const Comparison& c = comparisons[i];
    const SeriesPoint& best = c.points.back().baseline;
    table.row({c.baseline + (i == top ? " (strongest)" : ""), fmt::format("{:.2f}", best.accuracy * 100),
               format_duration(*best.latency_s), times(c.best_speed_up), points(c.best_gain),
               times(c.top_speed_up), points(c.top_gain)});
  }
  return table.str();
}

Plot plot_of(const PointSeries& ours, const std::vector<PointSeries>& others) {
  Plot plot;
  plot.title = fmt::format("{} and {}", ours.name, others.size() == 1 ? others.front().name : "others");
  const auto add = [&](const PointSeries& series, bool large) {
    PlotSeries& drawn = plot.series.emplace_back();
    drawn.name = series.name;
    drawn.line = true;
    drawn.large = large;
    for (const SeriesPoint& point : series.points) {
      if (point.latency_s)
        drawn.points.push_back({*point.latency_s, point.accuracy, "accuracy " + series.accuracy_is});
    }
    std::sort(drawn.points.begin(), drawn.points.end(),
              [](const PlotPoint& a, const PlotPoint& b) { return a.latency_s < b.latency_s; });
  };
  add(ours, true);
  for (const PointSeries& series : others) add(series, false);
  return plot;
}

int run(const Flags& flags, const Session& session) {
  if (!flags.plot.empty()) check_plot_path(flags.plot);
  if (!flags.out.empty()) check_writable(flags.out);
  const PointSeries ours = one_series(flags.ours);
  const std::vector<PointSeries> others = baselines(flags, ours);
  std::vector<Comparison> comparisons;
  for (const PointSeries& series : others) comparisons.push_back(compare_series(ours, series));
  const std::size_t top = strongest(comparisons);
  Json rows = Json::array();
  for (const Comparison& comparison : comparisons) rows.push_back(to_json(comparison));
  const Json document = {{"ours",
                          {{"file", flags.ours},
                           {"name", ours.name},
                           {"accuracy_is", ours.accuracy_is},
                           {"latency_is", ours.latency_is}}},
                         {"baseline_file", flags.baseline},
                         {"definition", comparison_definition()},
                         {"strongest", comparisons[top].baseline},
                         {"comparisons", std::move(rows)}};
  if (!flags.plot.empty()) write_plot(plot_of(ours, others), flags.plot);
  if (!flags.out.empty()) write_file_atomic(flags.out, dump_json(document));
  const Comparison& best = comparisons[top];
  session.result(document,
                 fmt::format("{}{} against {}, the strongest baseline: {} times as fast and {} points at its "
                             "top; at best {} times "
                             "and {} points\nours: accuracy {}, latency {}\ndefinition: {}\n{}",
                             table_of(comparisons, top), ours.name, best.baseline, times(best.top_speed_up),
                             points(best.top_gain), times(best.best_speed_up), points(best.best_gain),
                             ours.accuracy_is, ours.latency_is, comparison_definition(),
                             flags.plot.empty() ? "" : fmt::format("wrote {}\n", flags.plot)));
  return done_status();
}

}  // namespace

Command add_compare(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App& app =
      *root.add_subcommand("compare", "Speed-up at equal accuracy and gain at equal latency of two families");
  add_path(app, "OURS", flags->ours, "A dsn.family, or FILE#NAME: one series of published points")
      ->required();
  add_path(app, "BASELINE", flags->baseline, "The same, or several series (FILE#PART): each is compared")
      ->required();
  add_path(app, "--export-plot", flags->plot,
           "Picture to write: .svg, or .html with numbers under the pointer");
  add_path(app, "-o,--out", flags->out, "Write the comparison as JSON here");
  add_common(app, common, "dsn compare family.json other.json --export-plot both.html",
             "dsn compare sota_xavier_nx.json#gpu/dynamic_ofa sota_xavier_nx.json#gpu --json");
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli

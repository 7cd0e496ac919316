// SPDX-License-Identifier: Apache-2.0
#include "cli/search_modes.h"
#include "dsn/search/front_plot.h"
#include "dsn/search/point_series.h"

namespace dsn::cli {

void plot_search(const Json& family, const std::string& path) {
  const SearchSpace space = SearchSpace::parse(family["space"], path);
  Plot plot;
  plot.title = "sub-networks of " + space.name();
  const auto described = [&](const Json& config) {
    return space.describe(space.from_json(JsonView(config, path)));
  };
  PlotSeries others{"evaluated, not on the front", {}, false, false};
  for (const Json& row : family["front"]) {
    if (row["on_front"].get<bool>() || row["accuracy"].is_null()) continue;
    others.points.push_back(
        {row["latency_s"].get<double>(), row["accuracy"].get<double>(), described(row["config"])});
  }
  // Levels last: they lie on top.
  std::vector<PointSeries> all = read_series(family, path);
  for (auto series = all.rbegin(); series != all.rend(); ++series) {
    const bool levels = series->name == "levels";
    PlotSeries& drawn = plot.series.emplace_back();
    drawn.name = series->name + ", " + series->accuracy_is;
    drawn.line = !levels;
    drawn.large = levels;
    for (const SeriesPoint& point : series->points) {
      if (point.latency_s)
        drawn.points.push_back({*point.latency_s, point.accuracy, described(point.config)});
    }
  }
  if (!others.points.empty()) plot.series.insert(plot.series.begin(), std::move(others));
  write_plot(plot, path);
}

}  // namespace dsn::cli

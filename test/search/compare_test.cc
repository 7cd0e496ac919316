// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/compare.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "dsn/search/front_plot.h"
#include "fakes/temp_folder.h"
#include "synthetic.h"

using dsn::Comparison;
using dsn::PointSeries;
using dsn::fakes::code_of;

namespace {

PointSeries series(const std::string& name, std::vector<std::pair<double, double>> points) {
  PointSeries made;
  made.name = name;
  for (const auto& [latency, accuracy] : points) made.points.push_back({accuracy, latency, {}});
  return made;
}

Comparison published(const std::string& device, const std::string& baseline) {
  const std::string file =
      (std::filesystem::path(DSN_TEST_DATA) / "dynamic-ofa/sota_xavier_nx.json").string() + "#" + device +
      "/";
  return dsn::compare_series(dsn::load_series(file + "dynamic_ofa").front(),
                             dsn::load_series(file + baseline).front());
}

}  // namespace

TEST_CASE("compare_series: at the baseline's points, straight between ours, nothing beyond our ends") {
  const PointSeries ours =
      series("ours", {{1, 0.5}, {2, 0.7}, {3, 0.6}, {4, 0.8}});  // the third is on no front
  const PointSeries base = series("base", {{0.5, 0.3}, {3, 0.6}, {6, 0.75}, {9, 0.9}});
  const Comparison c = dsn::compare_series(ours, base);
  REQUIRE(c.points.size() == 4);
  CHECK(c.points[0].speed_up() == doctest::Approx(0.5));  // our fastest is more accurate, and slower
  CHECK_FALSE(c.points[0].gain().has_value());            // we are never that fast
  CHECK(c.points[1].speed_up() == doctest::Approx(3 / 1.5));
  CHECK(c.points[1].gain() == doctest::Approx(0.75 - 0.6));
  CHECK(c.points[2].speed_up() == doctest::Approx(6.0 / 3));
  CHECK(c.points[2].gain() == doctest::Approx(0.05));
  CHECK_FALSE(c.points[3].speed_up().has_value());  // we are never that accurate
  CHECK(c.best_speed_up == doctest::Approx(2));
  CHECK(c.best_gain == doctest::Approx(0.15));
  CHECK_FALSE(c.top_speed_up.has_value());
  CHECK(c.top_gain == doctest::Approx(0.15));  // at 3: the last within our latencies
  CHECK(dsn::strongest({dsn::compare_series(ours, series("a", {{1, 0.8}})), c}) == 1);
  PointSeries timeless = ours;
  for (auto& point : timeless.points) point.latency_s.reset();
  CHECK(code_of([&] { (void)dsn::compare_series(timeless, base); }, "ours") == dsn::ErrorCode::bad_input);
}

TEST_CASE("compare_series: the published figure gives the paper's headline within reading error") {
  const Comparison gpu = published("gpu", "autoslim_mnasnet"), cpu = published("cpu", "autoslim_mnasnet");
  CHECK(gpu.top_speed_up == doctest::Approx(2.4).epsilon(0.05));
  CHECK(cpu.top_speed_up == doctest::Approx(3.5).epsilon(0.05));
  CHECK(*gpu.top_gain == doctest::Approx(0.051).epsilon(0.08));
  CHECK(*cpu.top_gain == doctest::Approx(0.038).epsilon(0.08));
}

TEST_CASE(
    "plots: every point with its numbers, text escaped, the same text each time, HTML whole in itself") {
  dsn::Plot plot;
  plot.title = "a < b & \"c\"";
  plot.series.push_back({"front", {{0.012, 0.75, "r160"}, {0.020, 0.80, ""}}, true, false});
  plot.series.push_back({"levels", {{0.012, 0.75, ""}}, false, true});
  const std::string svg = dsn::to_svg(plot), html = dsn::to_html(plot);
  CHECK(svg.find("a &lt; b &amp; &quot;c&quot;") != std::string::npos);
  CHECK(svg.find("front: 75.00 % at 12.0 ms; r160") != std::string::npos);
  CHECK(svg.find("latency, ms") != std::string::npos);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(dsn::to_svg(plot) == svg);
  CHECK(html.find(svg) != std::string::npos);
  CHECK(html.find("src=") == std::string::npos);
  CHECK(html.find("href=") == std::string::npos);
  const dsn::fakes::TempFolder temp;
  dsn::write_plot(plot, temp / "p.svg");
  CHECK(std::filesystem::file_size(temp / "p.svg") == svg.size());
  CHECK(code_of([&] { dsn::write_plot(plot, temp / "p.png"); }, "expected .svg or .html") ==
        dsn::ErrorCode::bad_usage);
  plot.series.clear();
  CHECK(code_of([&] { (void)dsn::to_svg(plot); }, "without points") == dsn::ErrorCode::bad_usage);
}

// SPDX-License-Identifier: Apache-2.0
// Accuracy against latency as a picture: SVG, or one self-contained HTML page that shows a point's numbers
// under the pointer. No scripts from elsewhere, no fonts.
#pragma once

#include <string>
#include <vector>

namespace dsn {

struct PlotPoint {
  double latency_s = 0, accuracy = 0;
  std::string label;  // what hovering shows beside the numbers; may be empty
};

struct PlotSeries {
  std::string name;  // in the legend
  std::vector<PlotPoint> points;
  bool line = false;   // points joined in order
  bool large = false;  // levels and the like
};

struct Plot {
  std::string title, x_label = "latency", y_label = "accuracy";
  std::vector<PlotSeries> series;  // at least one point in all
};

// The same input gives the same text. Text is escaped.
[[nodiscard]] std::string to_svg(const Plot& plot);
[[nodiscard]] std::string to_html(const Plot& plot);

// By the ending of `path`. Throws Error{bad_usage} for another one than .svg and .html, and as
// write_file_atomic(). check_plot_path() throws the first of these at once.
void write_plot(const Plot& plot, const std::string& path);
void check_plot_path(const std::string& path);

}  // namespace dsn

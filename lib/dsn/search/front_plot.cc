// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/front_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/units.h"

namespace dsn {
namespace {

constexpr double kWidth = 760, kHeight = 480, kLeft = 70, kRight = 20, kTop = 40, kBottom = 50;
// Colours that people with colour blindness tell apart (Okabe and Ito 2008); grey last.
constexpr std::array kColours{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#777777"};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

struct Axis {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  double step = 1;

  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  // Round numbers outside of all values, five to ten steps apart.
  void round() {
    const double range = std::max(high - low, 1e-9 * std::max(1.0, std::abs(high)));
    const double magnitude = std::pow(10, std::floor(std::log10(range / 5)));
    step = magnitude;
    for (const double factor : {2.0, 5.0, 10.0}) {
      if (range / step > 10) step = factor * magnitude;
    }
    low = std::floor(low / step) * step;
    high = std::max(std::ceil(high / step) * step, low + step);
  }
  [[nodiscard]] double share(double value) const { return (value - low) / (high - low); }
};

class Drawing {
 public:
  explicit Drawing(const Plot& plot) : plot_(plot) {
    double longest = 0;
    for (const PlotSeries& series : plot.series) {
      for (const PlotPoint& point : series.points) longest = std::max(longest, point.latency_s);
    }
    const std::array units{std::pair{1.0, "s"}, std::pair{1e3, "ms"}, std::pair{1e6, "us"}};
    for (const auto& [factor, unit] : units) {
      factor_ = factor;
      unit_ = unit;
      if (longest * factor >= 1) break;
    }
    for (const PlotSeries& series : plot.series) {
      for (const PlotPoint& point : series.points) {
        x_.take(point.latency_s * factor_);
        y_.take(point.accuracy * 100);
      }
    }
    if (x_.low > x_.high)
      throw Error(ErrorCode::bad_usage, "a plot without points: found none, expected at least one");
    x_.round();
    y_.round();
  }

  std::string svg() {
    out_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 "
        "{0:.0f} {1:.0f}\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" "
        "fill=\"white\"/>\n",
        kWidth, kHeight);
    text(kWidth / 2, 22, "middle", plot_.title, " font-size=\"15\"");
    axes();
    for (std::size_t i = 0; i < plot_.series.size(); ++i) draw(plot_.series[i], colour(i));
    for (std::size_t i = 0; i < plot_.series.size(); ++i) legend(plot_.series[i], i);
    return out_ + "</svg>\n";
  }

 private:
  static const char* colour(std::size_t i) { return kColours[std::min(i, kColours.size() - 1)]; }
  [[nodiscard]] double px(double x) const { return kLeft + x_.share(x) * (kWidth - kLeft - kRight); }
  [[nodiscard]] double py(double y) const {
    return kHeight - kBottom - y_.share(y) * (kHeight - kTop - kBottom);
  }

  void text(double x, double y, const char* anchor, const std::string& words, const std::string& more = "") {
    out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor,
                        more, escaped(words));
  }

  void line(double x0, double y0, double x1, double y1) {
    out_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>\n",
                        x0, y0, x1, y1);
  }

  void axes() {
    const auto ticks = [](const Axis& axis) {
      return static_cast<int>(std::lround((axis.high - axis.low) / axis.step));
    };
    for (int i = 0; i <= ticks(x_); ++i) {
      const double x = x_.low + i * x_.step;
      line(px(x), kTop, px(x), kHeight - kBottom);
      text(px(x), kHeight - kBottom + 16, "middle", fmt::format("{:g}", std::round(x * 1e6) / 1e6));
    }
    for (int i = 0; i <= ticks(y_); ++i) {
      const double y = y_.low + i * y_.step;
      line(kLeft, py(y), kWidth - kRight, py(y));
      text(kLeft - 8, py(y) + 4, "end", fmt::format("{:g}", std::round(y * 1e6) / 1e6));
    }
    text((kLeft + kWidth - kRight) / 2, kHeight - 12, "middle", fmt::format("{}, {}", plot_.x_label, unit_));
    text(18, (kTop + kHeight - kBottom) / 2, "middle", plot_.y_label + ", %",
         fmt::format(" transform=\"rotate(-90 18 {:.1f})\"", (kTop + kHeight - kBottom) / 2));
  }

  void draw(const PlotSeries& series, const char* stroke) {
    if (series.line && series.points.size() > 1) {
      out_ += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-opacity=\"0.6\" points=\"", stroke);
      for (const PlotPoint& point : series.points)
        out_ += fmt::format("{:.1f},{:.1f} ", px(point.latency_s * factor_), py(point.accuracy * 100));
      out_.back() = '"';
      out_ += "/>\n";
    }
    for (const PlotPoint& point : series.points) {
      const std::string label =
          fmt::format("{}: {:.2f} % at {}{}{}", series.name, point.accuracy * 100,
                      format_duration(point.latency_s), point.label.empty() ? "" : "; ", point.label);
      out_ +=
          fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\"><title>{}</title></circle>\n",
                      px(point.latency_s * factor_), py(point.accuracy * 100), series.large ? 6 : 3, stroke,
                      escaped(label));
    }
  }

  // In the corner that fronts leave free.
  void legend(const PlotSeries& series, std::size_t i) {
    const double y = kHeight - kBottom - 14 - 18 * static_cast<double>(plot_.series.size() - 1 - i);
    out_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\"/>\n", kWidth - kRight - 12,
                        y - 4, series.large ? 6 : 4, colour(i));
    text(kWidth - kRight - 24, y, "end", series.name);
  }

  const Plot& plot_;
  double factor_ = 1;
  std::string unit_, out_;
  Axis x_, y_;
};

bool ends_in(const std::string& path, const std::string& suffix) {
  return fs::path(path).extension() == suffix;
}

}  // namespace

std::string to_svg(const Plot& plot) {
  return Drawing(plot).svg();
}

// The page's script only shows the titles that the picture has, at once and larger than browsers do.
std::string to_html(const Plot& plot) {
  return fmt::format(R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{0}</title>
<style>body{{margin:1em}}#tip{{position:fixed;display:none;background:#222;color:#fff;font:13px sans-serif;
padding:4px 8px;border-radius:4px;max-width:40em;pointer-events:none}}circle:hover{{stroke:#000;stroke-width:2}}</style>
</head><body>
{1}<div id="tip"></div>
<script>
const tip = document.getElementById('tip');
for (const circle of document.querySelectorAll('circle')) {{
  const title = circle.querySelector('title');
  if (!title) continue;
  const words = title.textContent;
  title.remove();
  circle.addEventListener('mousemove', event => {{
    tip.textContent = words;
    tip.style.display = 'block';
    tip.style.left = (event.clientX + 14) + 'px';
    tip.style.top = (event.clientY + 14) + 'px';
  }});
  circle.addEventListener('mouseleave', () => {{ tip.style.display = 'none'; }});
}}
</script></body></html>
)",
                     escaped(plot.title), to_svg(plot));
}

void check_plot_path(const std::string& path) {
  if (!ends_in(path, ".svg") && !ends_in(path, ".html"))
    throw Error(ErrorCode::bad_usage, fmt::format("{}: found another ending, expected .svg or .html", path));
  check_writable(path);
}

void write_plot(const Plot& plot, const std::string& path) {
  check_plot_path(path);
  write_file_atomic(path, ends_in(path, ".svg") ? to_svg(plot) : to_html(plot));
}

}  // namespace dsn

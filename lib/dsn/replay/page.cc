// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/page.h"

#include <fmt/format.h>

#include "dsn/core/error.h"
#include "dsn/core/json.h"
#include "dsn/replay/page_assets.h"

namespace dsn {
namespace {

std::string text_of(const std::string& plain) {
  std::string out;
  for (const char c : plain) {
    if (c == '&' || c == '<' || c == '>' || c == '"') {
      out += fmt::format("&#{};", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out;
}

// Numbers with seven digits: enough for any screen, and pages stay small.
void add_number(std::string& out, const std::optional<double>& value) {
  out += value ? fmt::format("{:.7g}", *value) : "null";
}

template <typename Values>
std::string array_of(const Values& values) {
  std::string out = "[";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    add_number(out, values[i]);
  }
  return out + "]";
}

// JSON inside a script element: '<' is written so that no text can end the element.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : Json(text).dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace)) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

std::string data_of(const std::vector<PageChart>& charts) {
  std::string out = "[";
  for (const PageChart& chart : charts) {
    if (out.size() > 1) out += ',';
    out += fmt::format("{{\"title\":{},\"unit\":{},\"stepped\":{},\"x\":{},\"series\":[", quoted(chart.title),
                       quoted(chart.unit), chart.stepped, array_of(chart.x));
    for (std::size_t i = 0; i < chart.series.size(); ++i) {
      const PageSeries& series = chart.series[i];
      if (series.y.size() != chart.x.size()) {
        throw Error(ErrorCode::failed,
                    fmt::format("chart {}: found {} values of {}, expected {}", chart.title, series.y.size(),
                                series.name, chart.x.size()));
      }
      out += fmt::format("{}{{\"name\":{},\"colour\":{},\"dashed\":{},\"y\":{}}}", i > 0 ? "," : "",
                         quoted(series.name), series.colour, series.dashed, array_of(series.y));
    }
    out += "]}";
  }
  return out + "]";
}

std::string table_of(const std::vector<std::vector<std::string>>& table) {
  std::string out = "<div class=\"tables\"><table>\n";
  for (std::size_t r = 0; r < table.size(); ++r) {
    out += "<tr>";
    for (const std::string& cell : table[r])
      out += fmt::format("<{0}>{1}</{0}>", r == 0 ? "th" : "td", text_of(cell));
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

}  // namespace

std::string html_of(const Page& page) {
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src "
      "'unsafe-inline'; style-src "
      "'unsafe-inline'\">\n<title>{0}</title>\n<style>\n{1}\n{2}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
      text_of(page.title), page_assets::kUplotCss, page_assets::kPageCss);
  for (const std::string& note : page.notes) out += fmt::format("<p class=\"note\">{}</p>\n", text_of(note));
  if (!page.table.empty()) out += table_of(page.table);
  if (!page.charts.empty())
    out +=
        "<p class=\"note\">Drag over a time line to zoom all of them, double-click to see everything.</p>\n";
  out += fmt::format("<div id=\"charts\"></div>\n<script type=\"application/json\" id=\"data\">{}</script>\n",
                     data_of(page.charts));
  out += fmt::format("<script>\n/*\n{}*/\n{}\n</script>\n<script>\n{}</script>\n</body>\n</html>\n",
                     page_assets::kUplotLicense, page_assets::kUplotJs, page_assets::kPageJs);
  return out;
}

}  // namespace dsn

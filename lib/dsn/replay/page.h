// SPDX-License-Identifier: Apache-2.0
// A page of tables and time lines for a browser: one file, no network (its own policy forbids it), time lines
// that zoom together.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace dsn {

struct PageSeries {
  std::string name;
  std::vector<std::optional<double>> y;  // one for each x of its chart
  int colour = 0;                        // the same number is the same colour in every chart
  bool dashed = false;                   // a limit rather than something that happened
};

struct PageChart {
  std::string title, unit;
  bool stepped = false;   // keeps each value up to the next
  std::vector<double> x;  // seconds, ascending
  std::vector<PageSeries> series;
};

struct Page {
  std::string title;
  std::vector<std::string> notes;
  std::vector<std::vector<std::string>> table;  // the first row is the header
  std::vector<PageChart> charts;
};

// Throws Error{failed} for a chart whose series do not fit its x.
[[nodiscard]] std::string html_of(const Page& page);

}  // namespace dsn

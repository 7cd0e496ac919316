// SPDX-License-Identifier: Apache-2.0
// Tables for people: a unit per column, text to the left, numbers to the right.
#pragma once

#include <string>
#include <vector>

namespace dsn::cli {

// A scale that suits the largest value of a column, so that a whole column shares one unit.
struct Scale {
  double factor = 1;  // value * factor is shown
  std::string unit;   // "ms"
};
[[nodiscard]] Scale duration_scale(double largest_s);
[[nodiscard]] Scale energy_scale(double largest_j);

// `value` in `scale`, without its unit: three significant digits, "-" when it is not finite.
[[nodiscard]] std::string format_scaled(double value, const Scale& scale);

class Table {
 public:
  enum class Align { left, right };
  // A heading that ends in ' ' + unit is the caller's: "p50 ms".
  void column(std::string heading, Align align = Align::right);
  // As many cells as there are columns.
  void row(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
  // With a final newline; headings are bold on a terminal.
  [[nodiscard]] std::string str() const;
  // The same without anything but text.
  [[nodiscard]] std::string plain() const;

 private:
  [[nodiscard]] std::vector<std::string> lines() const;  // the heading first
  struct Column {
    std::string heading;
    Align align;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace dsn::cli

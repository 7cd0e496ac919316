// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "cli/terminal.h"

namespace dsn::cli {
namespace {

// Steps of a thousand below one: the first that shows `largest` as at least 1, the smallest step otherwise.
Scale thousandths(double largest, std::string_view unit) {
  constexpr std::array<std::pair<double, const char*>, 4> kSteps{
      {{1.0, ""}, {1e3, "m"}, {1e6, "µ"}, {1e9, "n"}}};
  if (!(largest > 0)) return {1.0, std::string(unit)};
  for (const auto& [factor, prefix] : kSteps) {
    if (largest * factor >= 1) return {factor, std::string(prefix).append(unit)};
  }
  return {kSteps.back().first, std::string(kSteps.back().second).append(unit)};
}

}  // namespace

Scale duration_scale(double largest_s) {
  return thousandths(largest_s, "s");
}
Scale energy_scale(double largest_j) {
  return thousandths(largest_j, "J");
}

std::string format_scaled(double value, const Scale& scale) {
  if (!std::isfinite(value)) return "-";
  const double shown = value * scale.factor;
  const double size = std::abs(shown);
  return fmt::format("{:.{}f}", shown, size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}

void Table::column(std::string heading, Align align) {
  columns_.push_back({std::move(heading), align});
}

void Table::row(std::vector<std::string> cells) {
  if (cells.size() != columns_.size()) throw std::logic_error("a table row does not fit its columns");
  rows_.push_back(std::move(cells));
}

std::vector<std::string> Table::lines() const {
  std::vector<std::size_t> width(columns_.size());
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    width[c] = display_width(columns_[c].heading);
    for (const auto& row : rows_) width[c] = std::max(width[c], display_width(row[c]));
  }
  const auto line = [&](const auto& cell) {
    std::string text;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const std::string& value = cell(c);
      const std::string padding(width[c] - display_width(value), ' ');
      if (c > 0) text += "  ";
      text += columns_[c].align == Align::left ? value + padding : padding + value;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  std::vector<std::string> made{
      line([&](std::size_t c) -> const std::string& { return columns_[c].heading; })};
  for (const auto& row : rows_)
    made.push_back(line([&](std::size_t c) -> const std::string& { return row[c]; }));
  return made;
}

std::string Table::str() const {
  std::vector<std::string> all = lines();
  all.front() = paint(Stream::out, Paint::bold, all.front());
  return fmt::format("{}\n", fmt::join(all, "\n"));
}

std::string Table::plain() const {
  return fmt::format("{}\n", fmt::join(lines(), "\n"));
}

}  // namespace dsn::cli

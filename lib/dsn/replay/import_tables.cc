// SPDX-License-Identifier: Apache-2.0
// Arrivals in tables: plain CSV, and Azure Functions of 2019 and 2021.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "dsn/core/error.h"
#include "dsn/core/random.h"
#include "dsn/replay/import_parts.h"

namespace dsn {
namespace {

constexpr std::size_t kMinutes = 1440;

std::string task_name(std::string_view cell, const Lines& lines) {
  std::string name(cell);
  for (char& c : name) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!good) c = '_';
  }
  if (name.empty() || name.size() > 64)
    lines.fail(fmt::format("found task '{}', expected 1 to 64 characters", cell));
  return name;
}

std::vector<std::string_view> header_of(Lines& lines, std::string& line) {
  if (!lines.next(line)) lines.fail("found nothing, expected a header");
  return cells_of(line);
}

}  // namespace

Json import_csv(const fs::path& path, const ImportOptions& options) {
  Lines lines(path);
  std::string header_line, line;
  const std::vector<std::string_view> header = header_of(lines, header_line);
  constexpr std::pair<const char*, double> kTimes[] = {
      {"arrival_s", 1.0}, {"arrival_ms", 1e-3}, {"arrival_us", 1e-6}};
  int time = -1;
  double unit = 1;
  for (const auto& [name, seconds] : kTimes) {
    if (column_of(header, name) < 0) continue;
    if (time >= 0) lines.fail("found two columns of times, expected one");
    time = column_of(header, name);
    unit = seconds;
  }
  if (time < 0)
    lines.fail(fmt::format("found '{}', expected a column arrival_s, arrival_ms or arrival_us",
                           header_line.substr(0, 80)));
  const int task = column_of(header, "task"), target = column_of(header, "target_s");
  ArrivedTasks tasks;
  std::size_t count = 0;
  while (lines.next(line)) {
    if (line.empty() || line.front() == '#') continue;
    const std::vector<std::string_view> cells = cells_of(line);
    if (cells.size() != header.size())
      lines.fail(fmt::format("found {} columns, expected {} as in the header", cells.size(), header.size()));
    Arrived arrived{number_in(cells[static_cast<std::size_t>(time)], lines, "a time") * unit, 0, 0};
    if (arrived.at_s < 0)
      lines.fail(
          fmt::format("found {}, expected a time of at least 0", cells[static_cast<std::size_t>(time)]));
    if (target >= 0) {
      arrived.target_s = number_in(cells[static_cast<std::size_t>(target)], lines, "a latency target");
      if (!(arrived.target_s > 0)) lines.fail("found a target of 0 or less, expected more");
    }
    check_count(++count, path.string());
    tasks[task < 0 ? "app" : task_name(cells[static_cast<std::size_t>(task)], lines)].push_back(arrived);
  }
  return arrivals_trace(std::move(tasks), 0, options, path.string(), {});
}

Json import_azure2019(const fs::path& path, const ImportOptions& options) {
  Lines lines(path);
  std::string header_line, line;
  const std::vector<std::string_view> header = header_of(lines, header_line);
  const int function = column_of(header, "HashFunction"), first = column_of(header, "1");
  if (function < 0 || first < 0 || header.size() != static_cast<std::size_t>(first) + kMinutes ||
      header.back() != "1440")
    lines.fail("found another header, expected HashOwner,HashApp,HashFunction,Trigger,1,...,1440");
  std::array<double, kMinutes> counts{};
  const bool all = options.select.empty() || options.select == "sum";
  std::int64_t rows = 0;
  while (lines.next(line)) {
    const std::vector<std::string_view> cells = cells_of(line);
    if (cells.size() != header.size())
      lines.fail(fmt::format("found {} columns, expected {}", cells.size(), header.size()));
    if (!all && cells[static_cast<std::size_t>(function)] != options.select) continue;
    ++rows;
    for (std::size_t m = 0; m < kMinutes; ++m) {
      const double count =
          number_in(cells[static_cast<std::size_t>(first) + m], lines, "a number of invocations");
      if (count < 0 || count > 1e9) lines.fail(fmt::format("found {} invocations, expected 0 to 1e9", count));
      counts[m] += count;
    }
  }
  if (rows == 0) {
    throw Error(ErrorCode::not_found, fmt::format("{}: no function '{}'", path.string(), options.select),
                "name the HashFunction of a row, or sum");
  }
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  const double day_s = 60.0 * kMinutes;
  const double scale =
      options.mean_rate_hz && total > 0 ? *options.mean_rate_hz * day_s / options.compress / total : 1.0;
  check_count(static_cast<std::size_t>(std::min(total * scale, 1e12)), path.string());
  Rng rng = Rng::stream(options.seed, "azure2019");
  std::vector<Arrived> arrived;
  double due = 0;  // fractions are carried over, so the sum keeps
  for (std::size_t m = 0; m < kMinutes; ++m) {
    for (due += counts[m] * scale; due >= 1; due -= 1)
      arrived.push_back({60.0 * (static_cast<double>(m) + rng.uniform()), 0, 0});
  }
  ImportOptions counted = options;
  counted.mean_rate_hz.reset();
  return arrivals_trace(
      {{"app", std::move(arrived)}}, day_s, counted, path.string(),
      {fmt::format("Azure Functions 2019: {} functions, {:.0f} invocations in a day, times {:.6g}, time "
                   "compressed {:g} "
                   "times; only counts per minute are known, moments inside are drawn by seed",
                   rows, total, scale, options.compress)});
}

Json import_azure2021(const fs::path& path, const ImportOptions& options) {
  Lines lines(path);
  std::string header_line, line;
  const std::vector<std::string_view> header = header_of(lines, header_line);
  const int function = column_of(header, "func"), end = column_of(header, "end_timestamp"),
            duration = column_of(header, "duration");
  if (function < 0 || end < 0 || duration < 0)
    lines.fail("found another header, expected app,func,end_timestamp,duration");
  const bool all = options.select.empty() || options.select == "sum";
  std::vector<Arrived> arrived;
  while (lines.next(line)) {
    const std::vector<std::string_view> cells = cells_of(line);
    if (cells.size() != header.size())
      lines.fail(fmt::format("found {} columns, expected {}", cells.size(), header.size()));
    if (!all && cells[static_cast<std::size_t>(function)] != options.select) continue;
    const double ended = number_in(cells[static_cast<std::size_t>(end)], lines, "a time");
    const double took = number_in(cells[static_cast<std::size_t>(duration)], lines, "a duration");
    if (took < 0) lines.fail(fmt::format("found a duration of {}, expected at least 0", took));
    check_count(arrived.size() + 1, path.string());
    arrived.push_back({ended - took, 0, 0});
  }
  if (arrived.empty()) {
    throw Error(
        ErrorCode::not_found,
        fmt::format("{}: no invocation of '{}'", path.string(), all ? "any function" : options.select),
        "name a func of the file, or sum");
  }
  return arrivals_trace({{"app", std::move(arrived)}}, 0, options, path.string(),
                        {fmt::format("Azure Functions 2021, time compressed {:g} times", options.compress)});
}

}  // namespace dsn

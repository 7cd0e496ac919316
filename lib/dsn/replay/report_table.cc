// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dsn/replay/report.h"

namespace dsn {
namespace {

struct Column {
  const char* title;
  const char* figure;
  bool of_app;
  double scale;
  int digits;  // decimals; below 0: as the smallest value in the table needs
};

constexpr Column kColumns[] = {{"deadlines met %", "deadline_met", true, 100, 1},
                               {"accuracy %", "accuracy", true, 100, 2},
                               {"p50 ms", "latency_p50_s", true, 1e3, -1},
                               {"p95 ms", "latency_p95_s", true, 1e3, -1},
                               {"p99 ms", "latency_p99_s", true, 1e3, -1},
                               {"level switches", "level_switches", true, 1, 0},
                               {"above idle mJ/inf", "active_per_inference_j", true, 1e3, 1},
                               {"mean power W", "power_w", false, 1, 2},
                               {"total J", "energy_j", false, 1, 1},
                               {"over oracle %", "gap_to_oracle", false, 100, 1}};

const Json& figure_of(const Json& policy, const Json& app, const Column& column) {
  const std::string name =
      column.of_app ? app.at("name").get<std::string>() + "." + column.figure : column.figure;
  return policy.at("figures").at(name);
}

// Decimals that show three significant digits of the smallest median latency, at most 6.
int latency_decimals(const Json& report) {
  int digits = 0;
  for (const Json& policy : report.at("policies")) {
    for (const Json& app : policy.at("apps")) {
      const Json& value = app.at("latency").at("p50_s");
      if (!value.is_number()) continue;
      double scaled = value.get<double>() * 1e3;
      int needed = 0;
      for (; scaled > 0 && scaled < 100 && needed < 6; scaled *= 10) ++needed;
      digits = std::max(digits, needed);
    }
  }
  return digits;
}

// "12.3", over seeds "12.3 +-0.4", unknown "-".
std::string cell(const Json& figure, const Column& column, int digits) {
  if (!figure.at("mean").is_number()) return "-";
  const std::string mean = fmt::format("{:.{}f}", figure.at("mean").get<double>() * column.scale, digits);
  const Json& interval = figure.at("interval_95");
  if (interval.is_null()) return mean;
  const double half = (interval[1].get<double>() - interval[0].get<double>()) / 2;
  return fmt::format("{} +-{:.{}f}", mean, half * column.scale, digits);
}

bool with_oracle(const Json& report) {
  const Json& policies = report.at("policies");
  return std::any_of(policies.begin(), policies.end(),
                     [](const Json& policy) { return policy.at("energy").at("gap_to_oracle").is_number(); });
}

}  // namespace

std::vector<std::vector<std::string>> replay_table(const Json& report) {
  const bool several = report.at("apps").size() > 1;
  const int latency_digits = latency_decimals(report);
  std::vector<Column> columns(std::begin(kColumns), std::end(kColumns));
  if (!with_oracle(report)) columns.pop_back();
  std::vector<std::vector<std::string>> table;
  std::vector<std::string> header = {"policy"};
  if (several) header.emplace_back("task");
  for (const Column& column : columns) header.emplace_back(column.title);
  header.insert(header.end(), {"CPU governor", "GPU governor"});
  table.push_back(std::move(header));
  for (const Json& policy : report.at("policies")) {
    for (const Json& app : policy.at("apps")) {
      std::vector<std::string> row = {policy.at("policy").get<std::string>()};
      if (several) row.push_back(app.at("name").get<std::string>());
      for (const Column& column : columns)
        row.push_back(
            cell(figure_of(policy, app, column), column, column.digits < 0 ? latency_digits : column.digits));
      for (const char* key : {"cpu_governor", "gpu_governor"})
        row.push_back(policy.at(key).is_string() ? policy.at(key).get<std::string>() : std::string("-"));
      table.push_back(std::move(row));
    }
  }
  return table;
}

}  // namespace dsn

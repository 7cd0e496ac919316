// SPDX-License-Identifier: Apache-2.0
#include "cli/eval_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "cli/table.h"
#include "dsn/core/stats.h"
#include "dsn/core/units.h"

namespace dsn::cli {
namespace {

constexpr int kLeastForTop5 = 6;       // classes: with five, every label is among the five largest logits
constexpr std::size_t kMostRows = 40;  // classes that a table for people lists

void put(Json& json, const std::string& key, const std::optional<double>& value, const char* reason) {
  if (value) {
    json[key] = *value;
  } else {
    json[key] = nullptr;
    json[key + "_reason"] = reason;
  }
}

Json share_json(std::int64_t correct, std::int64_t images) {
  const Interval interval = wilson_interval(correct, images);
  return {{"accuracy", static_cast<double>(correct) / static_cast<double>(images)},
          {"accuracy_origin", "measured"},
          {"correct", correct},
          {"images", images},
          {"interval_95", {interval.low, interval.high}}};
}

Json bn_json(const EvalData& data, const EvalResult& result) {
  switch (result.source) {
    case BnSource::calibrated:
      return {{"source", "calibrated"}, {"data", data.calibration_name}, {"images", data.calibration_images}};
    case BnSource::given:
      return {{"source", "stored"}, {"of", result.subject.name}};
    case BnSource::shared:
      return {{"source", "stored"}, {"of", "super-network"}};
  }
  return {};
}

Json classes_json(const ConfusionMatrix& confusion, const std::vector<std::string>& names) {
  Json classes = Json::array();
  for (int c = 0; c < confusion.classes(); ++c) {
    Json row = {{"name", names[static_cast<std::size_t>(c)]},
                {"images", confusion.labelled(c)},
                {"predicted", confusion.predicted(c)}};
    put(row, "recall", confusion.recall(c), "no image has this label");
    put(row, "precision", confusion.precision(c), "no image was taken for this class");
    classes.push_back(std::move(row));
  }
  return classes;
}

Json matrix_json(const ConfusionMatrix& confusion) {
  Json rows = Json::array();
  for (int l = 0; l < confusion.classes(); ++l) {
    Json row = Json::array();
    for (int p = 0; p < confusion.classes(); ++p) row.push_back(confusion.at(l, p));
    rows.push_back(std::move(row));
  }
  return rows;
}

Json subject_json(const EvalModel& model, const EvalSubject& subject) {
  const Network network = make_network(model.space, subject.config);
  Json json = {{"name", subject.name},
               {"config", model.space.to_json(subject.config)},
               {"macs", network.macs()},
               {"params", network.params()}};
  if (subject.level) json["level"] = *subject.level;
  return json;
}

std::string percent(const std::optional<double>& fraction) {
  return fraction ? fmt::format("{:.2f}", *fraction * 100) : "-";
}

std::string bn_text(const EvalData& data, const EvalResult& result) {
  switch (result.source) {
    case BnSource::calibrated:
      return fmt::format("calibrated on {} of {}", data.calibration_images, data.calibration_name);
    case BnSource::given:
      return "stored, its own";
    case BnSource::shared:
      return "stored, the super-network's";
  }
  return {};
}

// Of one sub-network; the worst first where there are too many to list.
std::string class_table(const ConfusionMatrix& confusion, const std::vector<std::string>& names) {
  std::vector<int> order(static_cast<std::size_t>(confusion.classes()));
  std::iota(order.begin(), order.end(), 0);
  std::string note;
  if (order.size() > kMostRows) {
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return confusion.recall(a).value_or(2) < confusion.recall(b).value_or(2);
    });
    order.resize(10);
    note = fmt::format("the 10 of {} classes with the lowest recall; all are in the report\n", names.size());
  }
  Table table;
  table.column("class", Table::Align::left);
  table.column("images");
  table.column("recall %");
  table.column("precision %");
  table.column("most often taken for", Table::Align::left);
  for (const int c : order) {
    int other = -1;
    for (int p = 0; p < confusion.classes(); ++p) {
      if (p != c && confusion.at(c, p) > (other < 0 ? 0 : confusion.at(c, other))) other = p;
    }
    table.row({names[static_cast<std::size_t>(c)], std::to_string(confusion.labelled(c)),
               percent(confusion.recall(c)), percent(confusion.precision(c)),
               other < 0
                   ? "-"
                   : fmt::format("{} ({})", names[static_cast<std::size_t>(other)], confusion.at(c, other))});
  }
  return '\n' + table.str() + note;
}

}  // namespace

Json eval_json(const EvalModel& model, const EvalData& data, const std::vector<EvalResult>& results) {
  Json subnets = Json::array();
  for (const EvalResult& result : results) {
    const auto images = static_cast<std::int64_t>(result.found.images());
    Json json = subject_json(model, result.subject);
    json["bn"] = bn_json(data, result);
    json["top1"] = share_json(result.found.confusion.correct(), images);
    if (model.space.classes() >= kLeastForTop5) {
      json["top5"] = share_json(result.found.top5, images);
    } else {
      json["top5"] = nullptr;
      json["top5_reason"] = "with five classes or fewer every label is among five";
    }
    if (result.subject.family_accuracy) {
      json["recorded"] = {{"accuracy", *result.subject.family_accuracy},
                          {"accuracy_on", result.subject.accuracy_on}};
    }
    json["classes"] = classes_json(result.found.confusion, data.class_names);
    json["confusion"] = matrix_json(result.found.confusion);
    subnets.push_back(std::move(json));
  }
  return {{"data", data.name}, {"subnets", std::move(subnets)}};
}

std::string eval_text(const EvalModel& model, const EvalData& data, const std::vector<EvalResult>& results) {
  const bool top5 = model.space.classes() >= kLeastForTop5;
  const bool recorded = results[0].subject.family_accuracy.has_value();
  Table table;
  table.column("sub-network", Table::Align::left);
  table.column("MMACs");
  table.column("k params");
  table.column("top-1 %");
  table.column("95 % interval", Table::Align::left);
  if (top5) table.column("top-5 %");
  if (recorded) table.column("in the family %");
  table.column("batch norm", Table::Align::left);
  for (const EvalResult& result : results) {
    const Network network = make_network(model.space, result.subject.config);
    const ConfusionMatrix& confusion = result.found.confusion;
    const Interval interval = wilson_interval(confusion.correct(), confusion.total());
    std::vector<std::string> cells{
        result.subject.name, fmt::format("{:.2f}", static_cast<double>(network.macs()) / 1e6),
        fmt::format("{:.0f}", static_cast<double>(network.params()) / 1e3), percent(confusion.accuracy()),
        fmt::format("{:.2f} to {:.2f}", interval.low * 100, interval.high * 100)};
    if (top5)
      cells.push_back(
          percent(static_cast<double>(result.found.top5) / static_cast<double>(confusion.total())));
    if (recorded) cells.push_back(percent(result.subject.family_accuracy));
    cells.push_back(bn_text(data, result));
    table.row(std::move(cells));
  }
  std::string text = table.str();
  if (results.size() == 1) text += class_table(results[0].found.confusion, data.class_names);
  return text + fmt::format("measured on {} images of {}\n", results[0].found.images(), data.name);
}

fs::path picture_path(const fs::path& path, const EvalSubject& subject, bool only) {
  if (only) return path;
  std::string name = subject.name;
  std::replace(name.begin(), name.end(), ' ', '-');
  return path.parent_path() / fmt::format("{}-{}{}", path.stem().string(), name, path.extension().string());
}

std::string picture_title(const EvalData& data, const EvalResult& result) {
  return fmt::format("{} on {}: {} % of {} images right", result.subject.name, data.name,
                     percent(result.found.confusion.accuracy()), result.found.images());
}

Json units_report(const EvalModel& model, std::string& text) {
  Json report = pure_envelope("dsn.report", 0, model.inputs, Json::object());
  report["kind"] = "subnet";
  report["subnets"] = Json::array();
  text.clear();
  for (const EvalSubject& subject : model.subjects) {
    const Network network = make_network(model.space, subject.config);
    Table table;
    table.column("unit", Table::Align::left);
    table.column("k MACs");
    table.column("params");
    Json units = Json::array();
    for (const Unit& unit : network.units) {
      table.row({unit.key(), fmt::format("{:.1f}", static_cast<double>(unit.macs()) / 1e3),
                 std::to_string(unit.params())});
      units.push_back({{"unit", unit.key()}, {"macs", unit.macs()}, {"params", unit.params()}});
    }
    table.row({"all", fmt::format("{:.1f}", static_cast<double>(network.macs()) / 1e3),
               std::to_string(network.params())});
    Json json = subject_json(model, subject);
    json["units"] = std::move(units);
    report["subnets"].push_back(std::move(json));
    text += fmt::format("{}{}: {}\n{}", text.empty() ? "" : "\n", subject.name,
                        model.space.describe(subject.config), table.str());
  }
  return report;
}

}  // namespace dsn::cli

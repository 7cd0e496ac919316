// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/run_summary.h"

#include <utility>

namespace dsn {
namespace {

void put(Json& json, const std::string& key, const std::optional<double>& value, const char* reason) {
  if (value) {
    json[key] = *value;
  } else {
    json[key] = nullptr;
    json[key + "_reason"] = reason;
  }
}

Json quantiles(const LatencyHistogram& histogram) {
  const char* few = "too few inferences to carry it";
  Json json = Json::object();
  put(json, "p50_s", histogram.quantile(0.5), few);
  put(json, "p95_s", histogram.quantile(0.95), few);
  put(json, "p99_s", histogram.quantile(0.99), few);
  put(json, "max_s", histogram.count() > 0 ? std::optional(histogram.largest()) : std::nullopt, few);
  return json;
}

std::optional<double> share(double part, std::int64_t whole) {
  if (whole == 0) return std::nullopt;
  return part / static_cast<double>(whole);
}

}  // namespace

Json to_json(const LiveRecord& record, const CostTable& costs, const std::string& app) {
  Json json = {{"app", app},
               {"index", record.index},
               {"scheduled_s", record.scheduled_s},
               {"target_s", record.target_s},
               {"skipped", record.skipped},
               {"met", record.met()},
               {"level", record.level}};
  if (record.label) json["label"] = *record.label;
  if (record.skipped) return json;
  json["start_s"] = record.start_s;
  json["done_s"] = record.done_s;
  json["latency_s"] = record.latency_s();
  json["placement"] = costs.placement_name(record.placement);
  json["opp"] = record.opp;
  if (record.aborted) {
    json["aborted"] = true;
  } else {
    json["predicted"] = record.predicted;
  }
  if (record.undecided) json["undecided"] = true;
  json["slowdown"] = record.slowdown;
  json["decision_s"] = record.decision_s;
  json["feasible"] = record.feasible;
  return json;
}

RunSummary::RunSummary(const CostTable& costs, std::string policy_name, double target, double asked)
    : policy(std::move(policy_name)),
      target_s(target),
      probability(asked),
      levels(static_cast<std::size_t>(costs.levels())) {
  for (int level = 0; level < costs.levels(); ++level) level_accuracy_.push_back(costs.accuracy(level));
}

void RunSummary::add(const LiveRecord& record, double service_ratio) noexcept {
  const auto at = static_cast<std::size_t>(record.level);
  if (last_level_ >= 0)
    levels[static_cast<std::size_t>(last_level_)].time_s += record.scheduled_s - last_scheduled_s_;
  last_scheduled_s_ = record.scheduled_s;
  target_changes += last_target_s_ > 0 && record.target_s != last_target_s_;
  last_target_s_ = record.target_s;
  if (record.skipped) {
    if (last_level_ < 0) last_level_ = record.level;
    ++skipped;
    return;
  }
  if (completed + aborted > 0) {
    switches += record.level != last_level_;
    placement_switches += record.placement != last_placement_;
    opp_switches += record.opp != last_opp_;
  }
  last_level_ = record.level;
  last_placement_ = record.placement;
  last_opp_ = record.opp;
  infeasible += !record.feasible;
  undecided += record.undecided;
  if (!record.undecided) decision.add(record.decision_s);
  if (record.aborted) {
    ++aborted;
    return;
  }
  ++completed;
  levels[at].count += 1;
  if (record.met()) {
    ++met;
    levels[at].met += 1;
  }
  if (record.label) {
    ++labelled;
    correct += *record.label == record.predicted;
  }
  latency.add(record.latency_s());
  accuracy_sum_ += level_accuracy_[at];
  ratio_sum_ += service_ratio;
  slowdown_mean = ratio_sum_ / static_cast<double>(completed);
}

void RunSummary::finish(double duration, bool was_interrupted) noexcept {
  duration_s = duration;
  interrupted = was_interrupted;
  if (last_level_ >= 0 && duration > last_scheduled_s_)
    levels[static_cast<std::size_t>(last_level_)].time_s += duration - last_scheduled_s_;
}

std::optional<double> RunSummary::met_share() const noexcept {
  return share(static_cast<double>(met), arrivals());
}

std::optional<double> RunSummary::accuracy() const noexcept {
  return share(static_cast<double>(correct), labelled);
}

std::optional<double> RunSummary::expected_accuracy() const noexcept {
  return share(accuracy_sum_, completed);
}

Json RunSummary::to_json() const {
  Json json = {{"policy", policy},
               {"target_s", target_s},
               {"probability", probability},
               {"duration_s", duration_s},
               {"interrupted", interrupted},
               {"arrivals", arrivals()},
               {"completed", completed},
               {"skipped", skipped},
               {"aborted", aborted},
               {"met", met},
               {"latency", quantiles(latency)},
               {"decision", quantiles(decision)},
               {"labelled", labelled},
               {"correct", correct},
               {"switches", switches},
               {"placement_switches", placement_switches},
               {"opp_switches", opp_switches},
               {"infeasible_decisions", infeasible},
               {"undecided", undecided},
               {"target_changes", target_changes}};
  put(json, "met_share", met_share(), "no frame arrived");
  put(json, "accuracy", accuracy(), "no completed frame has a label");
  put(json, "expected_accuracy", expected_accuracy(), "no inference was completed");
  put(json, "slowdown_mean", completed > 0 ? std::optional(slowdown_mean) : std::nullopt,
      "no inference was completed");
  json["levels"] = Json::array();
  for (std::size_t i = 0; i < levels.size(); ++i) {
    json["levels"].push_back({{"level", i},
                              {"family_accuracy", level_accuracy_[i]},
                              {"count", levels[i].count},
                              {"met", levels[i].met},
                              {"time_s", levels[i].time_s}});
  }
  return json;
}

}  // namespace dsn

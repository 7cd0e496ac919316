// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/predicted.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/units.h"
#include "dsn/search/choose.h"
#include "dsn/search/json_parts.h"
#include "dsn/search/row_costs.h"

namespace dsn {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// What ends best on the published tables and predictor (test/bench/README.md).
constexpr double kRefine = 0.8;
constexpr int kStarts = 3, kManyEvaluations = 50000;

const RowFunction* third_of(const RowCosts& costs, ThirdObjective objective) {
  switch (objective) {
    case ThirdObjective::macs:
      return &costs.macs();
    case ThirdObjective::params:
      return &costs.params();
    case ThirdObjective::memory:
      return &costs.memory();
    case ThirdObjective::energy:
      if (costs.energy() == nullptr) throw Error(ErrorCode::not_found, costs.energy_reason());
      return costs.energy();
    case ThirdObjective::none:
      break;
  }
  return nullptr;
}

double value_of(const RowFunction& of, const std::vector<Gene>& row) {
  double value = 0;
  of.values(row.data(), 1, &value);
  return value;
}

void check_options(const PredictedSearchOptions& options) {
  if (options.levels >= 1 && options.noise >= 0) return;
  throw Error(ErrorCode::bad_usage,
              fmt::format("search options: found {} levels and noise {}, expected at least 1 "
                          "and 0 or more",
                          options.levels, options.noise));
}

class Search {
 public:
  Search(const SearchSpace& space, const Lut& lut, const AccuracyPredictor& predictor,
         const Calibration* calibration, const PredictedSearchOptions& options, Job& job)
      : space_(space),
        lut_(lut),
        predictor_(predictor),
        calibration_(calibration),
        options_(options),
        job_(job) {}

  PredictedSearch run(const OperatingPoint& point, std::span<const int> resolutions) {
    take_points(point);
    choose_resolutions(resolutions);
    const GeneSpace genes(space_, result_.resolutions);
    const RowCosts costs(genes, lut_, result_.points);
    result_.energy_origin = costs.energy_origin();
    const auto accuracy = predictor_.rows(genes);
    std::vector<SearchObjective> objectives{
        {&costs.latency(), false, options_.max_latency_s.value_or(kInfinity)},
        {accuracy.get(), true, -kInfinity}};
    if (const RowFunction* third = third_of(costs, options_.third))
      objectives.push_back({third, false, kInfinity});
    EvolutionOptions evolution;
    evolution.population = options_.population;
    evolution.evaluations = options_.evaluations;
    evolution.refine = kRefine;
    evolution.starts = options_.evaluations >= kManyEvaluations ? kStarts : 1;
    const RowEvolution evolved =
        evolve_rows(genes, objectives, extremes(), evolution, options_.seed, options_.threads, job_);
    result_.evaluations = evolved.evaluations;
    if (!evolved.any_feasible) refuse_latency(genes, evolved.nearest);
    for (const FrontRow& row : evolved.front) result_.front.push_back(describe_row(genes, costs, row));
    if (calibration_ != nullptr) result_.calibration = calibration_->quality();
    keep_accurate();
    choose();
    return std::move(result_);
  }

 private:
  void take_points(const OperatingPoint& point) {
    result_.point = point;
    result_.points = {point};
    result_.noise = std::max(options_.noise, measured_noise(lut_, point));
    for (const OperatingPoint& other : options_.worst_over) {
      if (std::find(result_.points.begin(), result_.points.end(), other) == result_.points.end())
        result_.points.push_back(other);
    }
  }

  void choose_resolutions(std::span<const int> known) {
    std::string last;
    for (const int r : known) {
      const GeneSpace one(space_, {r});
      try {
        const RowCosts costs(one, lut_, result_.points);
        result_.resolutions.push_back(r);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found) throw;
        last = error.message();
        warn(fmt::format("resolution {} is left out: {}", r, last));
      }
    }
    if (result_.resolutions.empty()) {
      throw Error(ErrorCode::not_found,
                  known.empty()
                      ? std::string("the predictor knows no resolution of this space")
                      : fmt::format("no resolution that the predictor knows is whole in the LUT: {}", last));
    }
  }

  void warn(std::string text) {
    job_.warn(text);
    result_.warnings.push_back(std::move(text));
  }

  [[nodiscard]] std::vector<SubnetConfig> extremes() const {
    std::vector<SubnetConfig> configs;
    for (const int r : result_.resolutions) {
      for (SubnetConfig config : {space_.smallest(), space_.largest()}) {
        config.r = r;
        configs.push_back(std::move(config));
      }
    }
    return configs;
  }

  [[nodiscard]] PredictedPoint describe_row(const GeneSpace& genes, const RowCosts& costs,
                                            const FrontRow& row) const {
    PredictedPoint point;
    point.config = genes.config(row.genes.data());
    point.latency_s = row.values[0];
    for (std::size_t p = 0; p < costs.points(); ++p)
      point.latency_at_s.push_back(value_of(costs.latency_at(p), row.genes));
    point.predicted = row.values[1];
    if (calibration_ != nullptr) point.calibrated = (*calibration_)(point.predicted);
    point.macs = std::llround(value_of(costs.macs(), row.genes));
    point.params = std::llround(value_of(costs.params(), row.genes));
    point.memory_bytes = std::llround(value_of(costs.memory(), row.genes));
    if (costs.energy() != nullptr) point.energy_j = value_of(*costs.energy(), row.genes);
    return point;
  }

  [[noreturn]] void refuse_latency(const GeneSpace& genes, const FrontRow& nearest) const {
    throw Error(
        ErrorCode::infeasible,
        fmt::format("no sub-network found is within {} at ({}): the nearest, {}, is predicted at {}",
                    format_duration(*options_.max_latency_s), describe(result_.point),
                    space_.describe(genes.config(nearest.genes.data())), format_duration(nearest.values[0])),
        fmt::format("allow at least {}", format_duration(nearest.values[0])));
  }

  void keep_accurate() {
    if (!options_.min_accuracy) return;
    const auto accuracy = [&](const PredictedPoint& point) {
      return calibration_ == nullptr ? point.predicted : point.calibrated.value_or(-1);
    };
    const auto best =
        std::max_element(result_.front.begin(), result_.front.end(),
                         [&](const auto& a, const auto& b) { return accuracy(a) < accuracy(b); });
    if (accuracy(*best) < *options_.min_accuracy) {
      throw Error(
          ErrorCode::infeasible,
          fmt::format(
              "no sub-network found reaches an accuracy of {}: the most accurate, {}, is predicted to "
              "have {} at {}",
              format_percent(*options_.min_accuracy), space_.describe(best->config),
              format_percent(accuracy(*best)), format_duration(best->latency_s)),
          "ask for less accuracy");
    }
    std::erase_if(result_.front, [&](const auto& point) { return accuracy(point) < *options_.min_accuracy; });
  }

  void choose() {
    std::vector<ParetoPoint> all;
    for (const PredictedPoint& point : result_.front) all.push_back({point.latency_s, point.predicted});
    const std::vector<std::size_t> index = pareto_front(all);  // with a third objective not all of them
    std::vector<ParetoPoint> front;
    for (const std::size_t i : index) front.push_back(all[i]);
    const auto count = static_cast<std::size_t>(options_.levels);
    std::vector<std::vector<double>> elsewhere(result_.points.size());
    for (std::size_t p = 0; p < elsewhere.size(); ++p) {
      for (const std::size_t i : index) elsewhere[p].push_back(result_.front[i].latency_at_s[p]);
    }
    for (const std::size_t i : choose_levels(front, elsewhere, count, result_.noise))
      result_.levels.push_back(index[i]);
    if (result_.levels.size() < count) {
      warn(fmt::format(
          "found {} levels where {} were asked for: the front has no more that differ by {} in latency",
          result_.levels.size(), count, format_percent(result_.noise)));
    }
  }

  const SearchSpace& space_;
  const Lut& lut_;
  const AccuracyPredictor& predictor_;
  const Calibration* calibration_;
  const PredictedSearchOptions& options_;
  Job& job_;
  PredictedSearch result_;
};

Json to_json(const Calibration::Quality& quality) {
  return {{"kind", "isotonic"},
          {"count", quality.count},
          {"bias", quality.bias},
          {"mae", quality.mae},
          {"held_out_mae", quality.held_out_mae},
          {"kendall_tau", quality.kendall_tau}};
}

}  // namespace

PredictedSearch search_predicted(const SearchSpace& space, const Lut& lut, const OperatingPoint& point,
                                 const AccuracyPredictor& predictor, std::span<const int> resolutions,
                                 const Calibration* calibration, const PredictedSearchOptions& options,
                                 Job& job) {
  check_options(options);
  lut.require_space(space);
  return Search(space, lut, predictor, calibration, options, job).run(point, resolutions);
}

Family to_family(const PredictedSearch& result, const SearchSpace& space, const std::string& accuracy_on) {
  Family family;
  family.space_document = space.document();
  family.space_sha256 = space.sha256();
  for (const std::size_t i : result.levels) {
    const PredictedPoint& point = result.front[i];
    Level level;
    level.id = static_cast<int>(family.levels.size());
    level.config = point.config;
    level.accuracy = point.calibrated.value_or(point.predicted);
    level.accuracy_origin = Origin::modelled;
    level.accuracy_on = accuracy_on;
    level.val_accuracy = point.predicted;
    level.macs = point.macs;
    level.params = point.params;
    level.predicted_latency_s = point.latency_s;
    family.levels.push_back(std::move(level));
  }
  return family;
}

Json to_json(const PredictedSearch& result, const SearchSpace& space) {
  Json search = to_json(result.point);
  if (result.points.size() > 1) {
    search["worst_over"] = Json::array();
    for (const OperatingPoint& point : result.points) search["worst_over"].push_back(to_json(point));
  }
  search["noise"] = result.noise;
  search["evaluations"] = result.evaluations;
  search["resolutions"] = result.resolutions;
  search["accuracy_from"] = "predictor";
  if (result.calibration) {
    search["calibration"] = to_json(*result.calibration);
  } else {
    search["calibration"] = nullptr;
    search["calibration_reason"] = "no measured sub-networks were given";
  }
  const char* uncalibrated = result.calibration ? "outside of what was predicted of the measured sub-networks"
                                                : "no measured sub-networks were given";
  Json front = Json::array();
  for (const PredictedPoint& point : result.front) {
    Json row = {{"config", space.to_json(point.config)},
                {"latency_s", point.latency_s},
                {"latency_origin", dsn::to_string(Origin::modelled)},
                {"predicted_accuracy", point.predicted},
                {"macs", point.macs},
                {"params", point.params},
                {"peak_activation_bytes", point.memory_bytes},
                {"on_front", true}};
    if (point.latency_at_s.size() > 1) row["latency_at_s"] = point.latency_at_s;
    put_or_reason(row, "accuracy", std::nullopt, "predicted only");
    put_or_reason(row, "calibrated_accuracy", point.calibrated, uncalibrated);
    if (point.energy_j) {
      row["energy_j"] = *point.energy_j;
      row["energy_origin"] = dsn::to_string(result.energy_origin);
    }
    front.push_back(std::move(row));
  }
  return {{"search", std::move(search)}, {"front", std::move(front)}};
}

}  // namespace dsn

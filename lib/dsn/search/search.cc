// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/units.h"
#include "dsn/search/choose.h"
#include "dsn/search/json_parts.h"
#include "dsn/search/mlp_predictor.h"
#include "dsn/search/pareto.h"
#include "dsn/search/sampling.h"

namespace dsn {
namespace {

constexpr int kFolds = 5;
constexpr std::size_t kLeastToFit = 4;

void check_options(const SearchOptions& options) {
  const auto at_least = [](const char* name, int value, int least) {
    if (value >= least) return;
    throw Error(ErrorCode::bad_usage,
                fmt::format("search option {}: found {}, expected at least {}", name, value, least));
  };
  at_least("levels", options.levels, 1);
  at_least("samples", options.samples, 1);
  at_least("rounds", options.rounds, 0);
  at_least("per_round", options.per_round, 1);
  at_least("finalists", options.finalists, options.levels);
  if (!(options.noise >= 0)) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("search option noise: found {}, expected 0 or more", options.noise));
  }
}

class Search {
 public:
  Search(const SearchSpace& space, const Lut& lut, const OperatingPoint& point, const EvaluateFn& evaluate,
         const SearchOptions& options, Job& job)
      : space_(space), lut_(lut), point_(point), evaluate_(evaluate), options_(options), job_(job) {
    latency_ = [this](const SubnetConfig& config) { return predicted_latency(config); };
    max_latency_s_ = options.max_latency_s.value_or(std::numeric_limits<double>::infinity());
    result_.point = point;
    result_.noise = std::max(options.noise, measured_noise(lut, point));
    result_.guide = options.guide;
    points_ = {point};
    points_.insert(points_.end(), options.worst_over.begin(), options.worst_over.end());
  }

  SearchResult run() {
    require_feasible_latency();
    const auto count = static_cast<std::size_t>(options_.samples);
    evaluate_new(initial_sample(space_, latency_, count, max_latency_s_, options_.seed));
    for (int round = 0; round < options_.rounds; ++round) {
      if (!fit_and_evolve(round)) break;
      if (!evaluate_new(informative())) break;
    }
    fit_and_evolve(options_.rounds);
    evaluate_finalists();
    choose();
    describe_points();
    return std::move(result_);
  }

 private:
  double predicted_latency(const SubnetConfig& config) const {
    double worst = 0;
    for (const OperatingPoint& point : points_) worst = std::max(worst, predicted_at(config, point));
    return worst;
  }

  double predicted_at(const SubnetConfig& config, const OperatingPoint& point) const {
    const double latency = lut_.predict_latency(make_network(space_, config), point);
    if (std::isfinite(latency) && latency > 0) return latency;
    throw Error(ErrorCode::bad_input, fmt::format("the LUT predicts a latency of {} s for {} at ({})",
                                                  latency, space_.describe(config), describe(point)));
  }

  [[nodiscard]] std::string limit_place() const { return fmt::format("at ({})", describe(point_)); }

  void require_feasible_latency() const {
    SubnetConfig nearest;
    double least = std::numeric_limits<double>::infinity();
    for (const int resolution : space_.resolutions()) {
      SubnetConfig config = fastest(space_, resolution, latency_);
      const double latency = latency_(config);
      if (latency < least) {
        least = latency;
        nearest = std::move(config);
      }
    }
    if (least <= max_latency_s_) return;
    throw Error(ErrorCode::infeasible,
                fmt::format("no sub-network is within {} {}: the fastest, {}, is predicted at {}",
                            format_duration(max_latency_s_), limit_place(), space_.describe(nearest),
                            format_duration(least)),
                fmt::format("allow at least {}", format_duration(least)));
  }

  // Evaluates those that were not yet; whether there were any.
  bool evaluate_new(const std::vector<SubnetConfig>& configs) {
    std::vector<SubnetConfig> fresh;
    for (const SubnetConfig& config : configs) {
      if (accuracy_.count(config) == 0) fresh.push_back(config);
    }
    if (fresh.empty()) return false;
    const std::vector<double> values = ask(fresh, false);
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      accuracy_[fresh[i]] = values[i];
      order_.push_back(fresh[i]);
    }
    result_.evaluations = static_cast<int>(order_.size());
    return true;
  }

  std::vector<double> ask(const std::vector<SubnetConfig>& configs, bool final) const {
    job_.check_stop();
    std::vector<double> values = evaluate_(configs, final);
    if (values.size() != configs.size()) {
      throw Error(ErrorCode::failed, fmt::format("evaluation of {} sub-networks gave {} accuracies",
                                                 configs.size(), values.size()));
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i] >= 0 && values[i] <= 1) continue;
      throw Error(ErrorCode::failed, fmt::format("evaluation of {} gave accuracy {}, expected 0 to 1",
                                                 space_.describe(configs[i]), values[i]));
    }
    return values;
  }

  void fit(const std::vector<double>& values) {
    mlp_ = nullptr;
    if (options_.guide == Guide::ridge) {
      predictor_ = std::make_unique<RidgePredictor>(
          RidgePredictor::fit(space_, order_, values, kFolds, options_.seed, result_.quality));
      return;
    }
    const auto fit_mlp = [&](std::span<const SubnetConfig> configs, std::span<const double> accuracy) {
      return std::make_unique<MlpPredictor>(MlpPredictor::fit(space_, configs, accuracy, options_.seed));
    };
    result_.quality = held_out_quality(order_, values, kFolds, options_.seed, fit_mlp);
    auto fitted = fit_mlp(order_, values);
    mlp_ = fitted.get();
    predictor_ = std::move(fitted);
  }

  // Fits the predictor to everything evaluated and evolves; false when there is too little to fit to.
  bool fit_and_evolve(int round) {
    if (order_.size() < kLeastToFit) return false;
    std::vector<double> values;
    for (const SubnetConfig& config : order_) values.push_back(accuracy_.at(config));
    fit(values);
    EvolutionOptions evolution = options_.evolution;
    evolution.max_latency_s = max_latency_s_;
    predicted_front_ = evolve(space_, latency_, *predictor_, order_, evolution,
                              options_.seed + static_cast<std::uint64_t>(round), job_);
    job_.info(
        fmt::format("{} evaluated; predictor held out: mean error {}, Kendall tau {:.2f}; predicted front: "
                    "{} sub-networks",
                    order_.size(), format_percent(result_.quality.mae), result_.quality.kendall_tau,
                    predicted_front_.size()));
    return true;
  }

  // Keeps points from well below the floor out, as long as something is above.
  [[nodiscard]] double floor() const {
    return options_.min_accuracy ? *options_.min_accuracy - result_.quality.mae : 0;
  }

  // Points of the predicted front that were not evaluated, spread along latency.
  [[nodiscard]] std::vector<SubnetConfig> informative() const {
    std::vector<Candidate> open;
    for (const Candidate& candidate : predicted_front_) {
      if (accuracy_.count(candidate.config) == 0) open.push_back(candidate);
    }
    std::vector<ParetoPoint> points;
    std::vector<std::size_t> index;
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (open[i].accuracy < floor() && i + 1 < open.size()) continue;
      points.push_back({open[i].latency_s, open[i].accuracy});
      index.push_back(i);
    }
    const auto most = static_cast<std::size_t>(options_.per_round);
    std::vector<SubnetConfig> chosen;
    for (const std::size_t i :
         mlp_ == nullptr ? choose_levels(points, most, 0) : most_doubtful(open, index, points, most)) {
      chosen.push_back(open[index[i]].config);
    }
    return chosen;
  }

  // Of as many equal parts of the logarithm of latency the point of each on which networks disagree most;
  // then from what is left, until there are enough.
  [[nodiscard]] std::vector<std::size_t> most_doubtful(const std::vector<Candidate>& open,
                                                       const std::vector<std::size_t>& index,
                                                       const std::vector<ParetoPoint>& points,
                                                       std::size_t most) const {
    std::vector<std::size_t> order(points.size()), chosen, rest;
    std::vector<double> doubt;
    for (std::size_t i = 0; i < points.size(); ++i) {
      order[i] = i;
      doubt.push_back(mlp_->disagreement(open[index[i]].config));
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return doubt[a] > doubt[b]; });
    std::vector<bool> taken(most, false);
    for (const std::size_t i : order) {
      const double range = std::log(points.back().cost / points.front().cost);
      const double place = range > 0 ? std::log(points[i].cost / points.front().cost) / range : 0;
      const auto part = std::min(most - 1, static_cast<std::size_t>(place * static_cast<double>(most)));
      (taken[part] ? rest : chosen).push_back(i);
      taken[part] = true;
    }
    for (const std::size_t i : rest) {
      if (chosen.size() < most) chosen.push_back(i);
    }
    return chosen;
  }

  // What is believed of an evaluated sub-network's accuracy. Among dozens of evaluations on some hundred
  // images the best owe much to luck, and would hide larger ones that are better: the predictor, fitted to
  // all of them, evens it out.
  [[nodiscard]] double believed(const SubnetConfig& config) const {
    const double evaluated = accuracy_.at(config);
    return predictor_ ? 0.5 * (evaluated + predictor_->predict(config)) : evaluated;
  }

  void evaluate_finalists() {
    std::vector<ParetoPoint> points;
    for (const SubnetConfig& config : order_) points.push_back({latency_(config), believed(config)});
    std::vector<ParetoPoint> front;
    std::vector<std::size_t> index;
    const std::vector<std::size_t> all = pareto_front(points);
    for (const std::size_t i : all) {
      if (points[i].value < floor() && i != all.back()) continue;
      front.push_back(points[i]);
      index.push_back(i);
    }
    for (const std::size_t i : choose_levels(front, static_cast<std::size_t>(options_.finalists), 0)) {
      finalists_.push_back(order_[index[i]]);
    }
    const std::vector<double> values = ask(finalists_, true);
    for (std::size_t i = 0; i < finalists_.size(); ++i) final_[finalists_[i]] = values[i];
    result_.final_evaluations = static_cast<int>(finalists_.size());
  }

  void choose() {
    std::vector<ParetoPoint> points;
    for (const SubnetConfig& config : finalists_) points.push_back({latency_(config), final_.at(config)});
    std::vector<ParetoPoint> front;
    std::vector<std::size_t> index;
    const std::vector<std::size_t> all = pareto_front(points);
    for (const std::size_t i : all) {
      if (options_.min_accuracy && points[i].value < *options_.min_accuracy) continue;
      front.push_back(points[i]);
      index.push_back(i);
    }
    if (front.empty()) refuse_accuracy(points[all.back()], finalists_[all.back()]);
    std::vector<std::vector<double>> elsewhere(points_.size());
    for (std::size_t p = 0; p < points_.size(); ++p) {
      for (const std::size_t i : index) elsewhere[p].push_back(predicted_at(finalists_[i], points_[p]));
    }
    for (const std::size_t i :
         choose_levels(front, elsewhere, static_cast<std::size_t>(options_.levels), result_.noise)) {
      result_.levels.push_back(make_level(finalists_[index[i]], front[i]));
    }
    if (result_.levels.size() < static_cast<std::size_t>(options_.levels)) {
      result_.warnings.push_back(fmt::format(
          "found {} levels where {} were asked for: the front has no more that differ by {} in latency",
          result_.levels.size(), options_.levels, format_percent(result_.noise)));
      job_.warn(result_.warnings.back());
    }
  }

  [[noreturn]] void refuse_accuracy(const ParetoPoint& best, const SubnetConfig& config) const {
    const std::string limit =
        options_.max_latency_s ? fmt::format(" within {} {}", format_duration(max_latency_s_), limit_place())
                               : std::string();
    throw Error(
        ErrorCode::infeasible,
        fmt::format("no sub-network found{} reaches an accuracy of {}: the most accurate, {}, has {} at {}",
                    limit, format_percent(*options_.min_accuracy), space_.describe(config),
                    format_percent(best.value), format_duration(best.cost)),
        "ask for less accuracy, or train the super-network longer");
  }

  Level make_level(const SubnetConfig& config, const ParetoPoint& point) const {
    const Network network = make_network(space_, config);
    Level level;
    level.id = static_cast<int>(result_.levels.size());
    level.config = config;
    level.accuracy = point.value;
    level.accuracy_on = options_.accuracy_on;
    level.val_accuracy = point.value;
    level.macs = network.macs();
    level.params = network.params();
    level.predicted_latency_s = point.cost;
    return level;
  }

  void describe_points() {
    std::vector<SubnetConfig> configs = order_;
    for (const Candidate& candidate : predicted_front_) {
      if (accuracy_.count(candidate.config) == 0) configs.push_back(candidate.config);
    }
    std::vector<ParetoPoint> evaluated;
    for (const SubnetConfig& config : order_) evaluated.push_back({latency_(config), accuracy_.at(config)});
    for (SubnetConfig& config : configs) {
      SearchPoint point;
      point.latency_s = latency_(config);
      if (predictor_) point.predicted_accuracy = predictor_->predict(config);
      if (const auto it = accuracy_.find(config); it != accuracy_.end()) point.accuracy = it->second;
      if (const auto it = final_.find(config); it != final_.end()) point.final_accuracy = it->second;
      point.macs = make_network(space_, config).macs();
      const ParetoPoint self{point.latency_s,
                             point.accuracy ? *point.accuracy : point.predicted_accuracy.value_or(0)};
      point.on_front = std::none_of(evaluated.begin(), evaluated.end(),
                                    [&](const ParetoPoint& p) { return dominates(p, self); });
      point.config = std::move(config);
      result_.points.push_back(std::move(point));
    }
    std::sort(result_.points.begin(), result_.points.end(), [](const SearchPoint& a, const SearchPoint& b) {
      return a.latency_s != b.latency_s ? a.latency_s < b.latency_s : ConfigLess()(a.config, b.config);
    });
  }

  const SearchSpace& space_;
  const Lut& lut_;
  const OperatingPoint& point_;
  const EvaluateFn& evaluate_;
  const SearchOptions& options_;
  Job& job_;
  LatencyFn latency_;
  double max_latency_s_ = 0;
  std::vector<SubnetConfig> order_;  // evaluated, in order
  std::map<SubnetConfig, double, ConfigLess> accuracy_, final_;
  std::vector<OperatingPoint> points_;  // latencies are the worst of
  std::unique_ptr<AccuracyPredictor> predictor_;
  const MlpPredictor* mlp_ = nullptr;  // predictor_, when it is one
  std::vector<Candidate> predicted_front_;
  std::vector<SubnetConfig> finalists_;
  SearchResult result_;
};

}  // namespace

SearchResult run_search(const SearchSpace& space, const Lut& lut, const OperatingPoint& point,
                        const EvaluateFn& evaluate, const SearchOptions& options, Job& job) {
  check_options(options);
  lut.require_space(space);
  return Search(space, lut, point, evaluate, options, job).run();
}

Json to_json(const SearchResult& result, const SearchSpace& space) {
  Json search = to_json(result.point);
  search["noise"] = result.noise;
  search["evaluations"] = result.evaluations;
  search["final_evaluations"] = result.final_evaluations;
  if (result.quality.folds > 0) {
    search["predictor"] = {{"kind", result.guide == Guide::ridge ? "ridge" : "mlp"},
                           {"count", result.quality.count},
                           {"folds", result.quality.folds},
                           {"held_out_mae", result.quality.mae},
                           {"held_out_kendall_tau", result.quality.kendall_tau}};
    if (result.guide == Guide::ridge) search["predictor"]["penalty"] = result.quality.penalty;
  } else {
    search["predictor"] = nullptr;
    search["predictor_reason"] = "too few sub-networks were evaluated to judge one";
  }
  Json front = Json::array();
  for (const SearchPoint& point : result.points) {
    Json row = {{"config", space.to_json(point.config)},
                {"latency_s", point.latency_s},
                {"latency_origin", dsn::to_string(Origin::modelled)},
                {"macs", point.macs},
                {"on_front", point.on_front}};
    put_or_reason(row, "predicted_accuracy", point.predicted_accuracy,
                  "too few sub-networks were evaluated to fit a predictor");
    put_or_reason(row, "accuracy", point.accuracy, "predicted only");
    put_or_reason(row, "final_accuracy", point.final_accuracy, "not a finalist");
    front.push_back(std::move(row));
  }
  return {{"search", std::move(search)}, {"front", std::move(front)}};
}

}  // namespace dsn

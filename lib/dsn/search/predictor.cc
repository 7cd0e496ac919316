// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/predictor.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "dsn/core/error.h"
#include "dsn/core/stats.h"
#include "dsn/space/network.h"

namespace dsn {
namespace {

constexpr std::size_t kGlobalFeatures = 2;  // log MACs and its square, the first features

template <typename T>
void one_hot(std::vector<double>& features, const std::vector<T>& values, T value, bool active = true) {
  for (const T& candidate : values) features.push_back(active && candidate == value ? 1 : 0);
}

double log_macs(const SearchSpace& space, const SubnetConfig& config) {
  return std::log(static_cast<double>(make_network(space, config).macs()));
}

// `centre`: of log MACs over the space, so that the square says something that the first power does not.
std::vector<double> features_of(const SearchSpace& space, const SubnetConfig& config, double centre) {
  const double size = log_macs(space, config) - centre;
  std::vector<double> features = {size, size * size};
  one_hot(features, space.resolutions(), config.r);
  for (int s = 0; s < space.stage_count(); ++s) {
    const StageSpace& stage = space.stages()[static_cast<std::size_t>(s)];
    const int depth = config.d[static_cast<std::size_t>(s)];
    one_hot(features, stage.depth, depth);
    for (int i = 0; i < stage.depth.back(); ++i) {
      const auto block = static_cast<std::size_t>(space.first_block(s) + i);
      features.push_back(i < depth ? 1 : 0);
      one_hot(features, stage.kernel, config.k[block], i < depth);
      one_hot(features, stage.expand, config.e[block], i < depth);
    }
  }
  for (const double ratio : config.w) one_hot(features, space.width(), ratio);
  one_hot(features, space.stem_depth(), config.s);
  return features;
}

// Rows standardised so that the penalty treats the MAC features together like all choices together: half of
// the variance each.
struct Design {
  Eigen::MatrixXd rows;             // [samples, features]
  std::vector<double> mean, scale;  // of each feature; scale 0 where it never varies
};

Design standardise(const std::vector<std::vector<double>>& features) {
  const std::size_t count = features.size(), width = features.front().size();
  Design design;
  design.rows.resize(static_cast<Eigen::Index>(count), static_cast<Eigen::Index>(width));
  design.mean.assign(width, 0);
  design.scale.assign(width, 0);
  std::size_t varying_choices = 0;
  for (std::size_t f = 0; f < width; ++f) {
    for (std::size_t i = 0; i < count; ++i) design.mean[f] += features[i][f] / static_cast<double>(count);
    double variance = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double d = features[i][f] - design.mean[f];
      variance += d * d / static_cast<double>(count);
    }
    if (variance > 1e-12) {
      design.scale[f] = 1 / std::sqrt(variance);
      varying_choices += f >= kGlobalFeatures ? 1 : 0;
    }
  }
  for (std::size_t f = 0; f < width; ++f) {
    const auto group = f < kGlobalFeatures ? kGlobalFeatures : std::max<std::size_t>(varying_choices, 1);
    design.scale[f] /= std::sqrt(static_cast<double>(group));
    for (std::size_t i = 0; i < count; ++i) {
      design.rows(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(f)) =
          (features[i][f] - design.mean[f]) * design.scale[f];
    }
  }
  return design;
}

struct Solution {
  Eigen::VectorXd dual;  // weights = rows^T dual
  double penalty = 0, loo = 0;
};

// Ridge in its dual form: few samples, many features. Leave-one-out residuals come from the same
// factorisation, dual_i / (K^-1)_ii (Rifkin and Lippert 2007, "Notes on regularized least squares").
Solution solve(const Eigen::MatrixXd& rows, const Eigen::VectorXd& target) {
  const Eigen::Index n = rows.rows();
  // The constant feature carries what the mean of a reduced sample is off by.
  const Eigen::MatrixXd kernel = rows * rows.transpose() + Eigen::MatrixXd::Ones(n, n);
  Solution best;
  for (int step = 0; step <= 24; ++step) {
    const double penalty = 1e-4 * std::pow(10.0, step / 4.0);  // 1e-4 .. 100
    const Eigen::LDLT<Eigen::MatrixXd> factor(kernel + penalty * Eigen::MatrixXd::Identity(n, n));
    const Eigen::VectorXd dual = factor.solve(target);
    const Eigen::MatrixXd inverse = factor.solve(Eigen::MatrixXd::Identity(n, n));
    double loo = 0;
    for (Eigen::Index i = 0; i < n; ++i) {
      const double residual = dual(i) / inverse(i, i);
      loo += residual * residual / static_cast<double>(n);
    }
    if (best.dual.size() == 0 || loo < best.loo) best = {dual, penalty, loo};
  }
  return best;
}

}  // namespace

void require_samples(const SearchSpace& space, std::span<const SubnetConfig> configs,
                     std::span<const double> accuracy) {
  if (configs.size() < 4 || configs.size() != accuracy.size()) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("an accuracy predictor needs at least 4 evaluated sub-networks, found {}",
                            configs.size()),
                "evaluate more sub-networks");
  }
  for (std::size_t i = 0; i < accuracy.size(); ++i) {
    if (!std::isfinite(accuracy[i])) {
      throw Error(ErrorCode::bad_input,
                  fmt::format("accuracy of sub-network {}: found {}, expected a finite number",
                              space.describe(configs[i]), accuracy[i]));
    }
  }
}

PredictorQuality held_out_quality(std::span<const SubnetConfig> configs, std::span<const double> accuracy,
                                  int folds, std::uint64_t seed, const FitFn& fit) {
  PredictorQuality quality;
  quality.count = static_cast<int>(configs.size());
  // Each fold must leave the four sub-networks that a fit needs.
  const auto parts = static_cast<std::size_t>(std::max(folds, 2));
  const std::size_t used = std::min(parts, configs.size());
  if (configs.size() < 5 || configs.size() - (configs.size() + used - 1) / used < 4) return quality;
  quality.folds = static_cast<int>(used);
  std::vector<std::size_t> order(configs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  Rng rng = Rng::stream(seed, "search.folds");
  rng.shuffle(std::span<std::size_t>(order));
  std::vector<double> held_out(configs.size());
  for (std::size_t fold = 0; fold < used; ++fold) {
    std::vector<SubnetConfig> train;
    std::vector<double> train_accuracy;
    for (std::size_t n = 0; n < order.size(); ++n) {
      if (n % used == fold) continue;
      train.push_back(configs[order[n]]);
      train_accuracy.push_back(accuracy[order[n]]);
    }
    const auto part = fit(train, train_accuracy);
    for (std::size_t n = fold; n < order.size(); n += used)
      held_out[order[n]] = part->predict(configs[order[n]]);
  }
  for (std::size_t i = 0; i < held_out.size(); ++i) {
    quality.mae += std::abs(held_out[i] - accuracy[i]) / static_cast<double>(held_out.size());
  }
  quality.kendall_tau = kendall_tau(held_out, accuracy);
  return quality;
}

RidgePredictor RidgePredictor::fit(const SearchSpace& space, std::span<const SubnetConfig> configs,
                                   std::span<const double> accuracy) {
  require_samples(space, configs, accuracy);
  std::vector<std::vector<double>> features;
  RidgePredictor predictor(space);
  predictor.centre_ = 0.5 * (log_macs(space, space.smallest()) + log_macs(space, space.largest()));
  for (const SubnetConfig& config : configs)
    features.push_back(features_of(space, config, predictor.centre_));
  const Design design = standardise(features);
  predictor.mean_ = design.mean;
  predictor.intercept_ = mean(accuracy);
  Eigen::VectorXd target(static_cast<Eigen::Index>(accuracy.size()));
  for (std::size_t i = 0; i < accuracy.size(); ++i)
    target(static_cast<Eigen::Index>(i)) = accuracy[i] - predictor.intercept_;
  const Solution solution = solve(design.rows, target);
  predictor.penalty_ = solution.penalty;
  predictor.intercept_ += solution.dual.sum();
  const Eigen::VectorXd weights = design.rows.transpose() * solution.dual;
  for (std::size_t f = 0; f < design.scale.size(); ++f) {
    predictor.weight_.push_back(weights(static_cast<Eigen::Index>(f)) * design.scale[f]);
  }
  return predictor;
}

RidgePredictor RidgePredictor::fit(const SearchSpace& space, std::span<const SubnetConfig> configs,
                                   std::span<const double> accuracy, int folds, std::uint64_t seed,
                                   PredictorQuality& quality) {
  RidgePredictor all = fit(space, configs, accuracy);
  quality = held_out_quality(configs, accuracy, folds, seed, [&](auto part, auto of_part) {
    return std::make_unique<RidgePredictor>(fit(space, part, of_part));
  });
  quality.penalty = all.penalty();
  return all;
}

double RidgePredictor::predict(const SubnetConfig& config) const {
  const std::vector<double> features = features_of(space_, config, centre_);
  double sum = intercept_;
  for (std::size_t f = 0; f < features.size(); ++f) sum += weight_[f] * (features[f] - mean_[f]);
  return sum;
}

}  // namespace dsn

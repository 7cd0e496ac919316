// SPDX-License-Identifier: Apache-2.0
// Predicting a sub-network's accuracy from its configuration, fitted to few measured ones.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "dsn/search/genes.h"
#include "dsn/space/search_space.h"

namespace dsn {

// What a search takes accuracy from: a fit to sub-networks that were evaluated (RidgePredictor), a published
// network (OfaPredictor). const members are thread-safe.
class AccuracyPredictor {
 public:
  virtual ~AccuracyPredictor() = default;
  // Top-1 as a fraction; may leave 0..1 where it extrapolates. Precondition: `config` is of the predictor's
  // space.
  [[nodiscard]] virtual double predict(const SubnetConfig& config) const = 0;
  // The same for many rows at once; by default predict() for each. Refers to `genes`, and may to this.
  [[nodiscard]] virtual std::unique_ptr<RowFunction> rows(const GeneSpace& genes) const {
    return per_config(genes, [this](const SubnetConfig& config) { return predict(config); });
  }
};

// How good a predictor is on sub-networks it was not fitted to (k-fold, the penalty chosen anew inside each
// fold).
struct PredictorQuality {
  int count = 0, folds = 0;  // folds 0: too few to say
  double mae = 0, kendall_tau = 0;
  double penalty = 0;  // of a RidgePredictor's fit to all
};

// Throws Error{bad_usage} with fewer than 4 sub-networks, Error{bad_input} naming one whose accuracy is not
// finite.
void require_samples(const SearchSpace& space, std::span<const SubnetConfig> configs,
                     std::span<const double> accuracy);

using FitFn = std::function<std::unique_ptr<AccuracyPredictor>(std::span<const SubnetConfig> configs,
                                                               std::span<const double> accuracy)>;

// Fits to all but one of `folds` parts and judges by that one, each in turn; `seed` makes the parts.
[[nodiscard]] PredictorQuality held_out_quality(std::span<const SubnetConfig> configs,
                                                std::span<const double> accuracy, int folds,
                                                std::uint64_t seed, const FitFn& fit);

// Ridge regression on the configuration: for each block its presence, kernel and expand ratio, for each stage
// its depth, the resolution, and the logarithm of MACs with its square. The penalty has the least
// leave-one-out error. Exact arithmetic order: the same input gives the same bits.
class RidgePredictor : public AccuracyPredictor {
 public:
  // configs: canonical; accuracy: of the same length, finite. Throws Error{bad_usage} with fewer than 4
  // sub-networks.
  static RidgePredictor fit(const SearchSpace& space, std::span<const SubnetConfig> configs,
                            std::span<const double> accuracy);
  // As fit(), and measures the held-out quality; `seed` makes the folds.
  static RidgePredictor fit(const SearchSpace& space, std::span<const SubnetConfig> configs,
                            std::span<const double> accuracy, int folds, std::uint64_t seed,
                            PredictorQuality& quality);

  [[nodiscard]] double predict(const SubnetConfig& config) const override;
  [[nodiscard]] double penalty() const noexcept { return penalty_; }

 private:
  explicit RidgePredictor(const SearchSpace& space) : space_(space) {}
  SearchSpace space_;
  std::vector<double> mean_, weight_;  // accuracy = intercept + sum(weight * (feature - mean))
  double intercept_ = 0, penalty_ = 0, centre_ = 0;
};

}  // namespace dsn

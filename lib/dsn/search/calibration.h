// SPDX-License-Identifier: Apache-2.0
// Mending a predictor that ranks well and is biased: a monotone map from predicted to measured accuracy.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace dsn {

// Isotonic regression (pool adjacent violators; Ayer et al. 1955, doi:10.1214/aoms/1177728423) through
// measured points, linear between them. Being monotone it never changes which of two sub-networks is better,
// but may call them equal. Immutable; const members are thread-safe.
class Calibration {
 public:
  // What was predicted and measured of the same sub-networks, fractions. Throws Error{bad_usage} with fewer
  // than two different predictions or anything that is not a fraction.
  static Calibration fit(std::span<const double> predicted, std::span<const double> measured);

  // Nothing outside of what was predicted of the measured points: there is nothing to go by.
  [[nodiscard]] std::optional<double> operator()(double predicted) const;
  [[nodiscard]] double lowest() const noexcept { return predicted_.front(); }
  [[nodiscard]] double highest() const noexcept { return predicted_.back(); }

  struct Quality {
    int count = 0;             // measured points
    double bias = 0, mae = 0;  // predicted less measured, before: mean, mean size
    // After, each point by a fit to all others (the nearest end where those do not reach).
    double held_out_mae = 0;
    double kendall_tau = 0;  // of predicted against measured
  };
  [[nodiscard]] const Quality& quality() const noexcept { return quality_; }

 private:
  std::vector<double> predicted_, measured_;  // ascending, of the same length
  Quality quality_;
};

}  // namespace dsn

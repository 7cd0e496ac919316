// SPDX-License-Identifier: Apache-2.0
// Searching a space whose super-network is not at hand: accuracy from a predictor, costs from a LUT's units.
// Nothing is evaluated, so very many sub-networks can be looked at, and every result says that it is
// predicted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/profile/lut.h"
#include "dsn/search/calibration.h"
#include "dsn/search/evolution.h"
#include "dsn/search/family.h"

namespace dsn {

// A third thing to keep low, beside latency and with accuracy high. memory: peak_activation_bytes().
enum class ThirdObjective { none, macs, params, memory, energy };

struct PredictedSearchOptions {
  int levels = 6;
  std::optional<double> max_latency_s;
  std::optional<double> min_accuracy;  // calibrated where there is a calibration
  // Levels closer in latency than this (relative), or than levels in the LUT scatter, are one level.
  double noise = 0.05;
  // Latency is the worst of the point's and these, and levels are spread over the latencies at each of them.
  std::vector<OperatingPoint> worst_over;
  ThirdObjective third = ThirdObjective::none;
  int population = 100;
  int evaluations = 100000;
  std::uint64_t seed = 1;
  int threads = 1;
};

struct PredictedPoint {
  SubnetConfig config;
  double latency_s = 0;              // the worst of all points
  std::vector<double> latency_at_s;  // at each of PredictedSearch::points
  double predicted = 0;              // accuracy as the predictor has it
  std::optional<double> calibrated;  // nothing without a calibration, or where it does not reach
  std::int64_t macs = 0, params = 0, memory_bytes = 0;
  std::optional<double> energy_j;  // at PredictedSearch::point, where it is known
};

struct PredictedSearch {
  OperatingPoint point;                // the reference
  std::vector<OperatingPoint> points;  // it and options.worst_over, each once
  double noise = 0;                    // below which levels are one
  Origin energy_origin = Origin::modelled;
  std::vector<int> resolutions;       // those looked at
  std::vector<PredictedPoint> front;  // ascending latency
  std::vector<std::size_t> levels;    // of `front`
  std::size_t evaluations = 0;
  std::optional<Calibration::Quality> calibration;
  std::vector<std::string> warnings;
};

// `resolutions`: those that the predictor knows. Of these the ones are looked at for which the LUT has all
// units; a warning names what the others lack. Throws Error{not_found} when none is left, Error{infeasible}
// naming the nearest sub-network when nothing meets max_latency_s or min_accuracy, Error{not_found} for
// energy that nothing tells, Error{mismatch} when `lut` is of another space, Error{unsupported} for a space
// with elastic width, Error{bad_usage} for options out of range. The same result for any number of threads.
[[nodiscard]] PredictedSearch search_predicted(const SearchSpace& space, const Lut& lut,
                                               const OperatingPoint& point,
                                               const AccuracyPredictor& predictor,
                                               std::span<const int> resolutions,
                                               const Calibration* calibration,
                                               const PredictedSearchOptions& options, Job& job);

// The chosen levels as a family without weights; `accuracy_on` says what predicted it.
[[nodiscard]] Family to_family(const PredictedSearch& result, const SearchSpace& space,
                               const std::string& accuracy_on);

// {"search": ..., "front": [...]}, to be merged into a dsn.family document.
[[nodiscard]] Json to_json(const PredictedSearch& result, const SearchSpace& space);

}  // namespace dsn

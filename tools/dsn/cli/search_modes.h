// SPDX-License-Identifier: Apache-2.0
// The ways of dsn search: evaluating a super-network at hand, trusting a predictor, and making one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/session.h"
#include "dsn/search/predicted.h"
#include "dsn/search/search.h"

namespace dsn::cli {

struct SearchFlags {
  std::string lut, point, out, plot;
  int threads = 1;
  SearchOptions options;  // levels, limits and seed are both modes'
  bool all_opps = false;
  // With a super-network.
  std::string supernet, data, platform, engine = "auto";
  std::size_t calib_images = 2000, val_images = 2500, val_count = 5000;
  bool no_measure = false, resume = false;
  std::string fit_predictor, guide = "ridge";  // file to write; see SearchOptions::guide
  int fit_samples = 120;
  // With a predictor.
  std::string space, predictor, third = "none";
  std::vector<std::string> measured;
  double width_mult = 0;  // 0: the space's own
  PredictedSearchOptions predicted;
};

// Throws Error{unsupported} in a build without LibTorch.
int run_evaluated_search(SearchFlags& flags, const Session& session);
int run_fit_predictor(SearchFlags& flags, const Session& session);
int run_predicted_search(SearchFlags& flags, const Session& session);

// Front, levels and what else was evaluated of a dsn.family document, as a picture.
void plot_search(const Json& family, const std::string& path);

// The LUT's point that "cpu:2" names; by default the one at which the largest sub-network at a resolution
// that it knows is fastest. `lut_file` is for messages.
[[nodiscard]] OperatingPoint choose_point(const std::string& text, const Lut& lut, const SearchSpace& space,
                                          const std::string& lut_file);

// The LUT's other points of that cluster, threads and batch: its other frequencies.
[[nodiscard]] std::vector<OperatingPoint> same_mapping(const Lut& lut, const OperatingPoint& point);

}  // namespace dsn::cli

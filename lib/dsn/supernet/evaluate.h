// SPDX-License-Identifier: Apache-2.0
// Accuracy of sub-networks on real images, with batch norm calibrated for each.
#pragma once

#include <vector>

#include "dsn/core/job.h"
#include "dsn/data/preprocess.h"
#include "dsn/supernet/supernet.h"

namespace dsn {

struct EvaluateOptions {
  std::size_t calibration_images = 2000;
  std::size_t calibration_batch = 200;
  std::size_t batch = 250;
  std::size_t images = 0;  // evaluate on the first so many; 0: all
  int threads = 1;  // sub-networks evaluated at once; each on one thread, so that results do not depend on it
};

struct Evaluation {
  double accuracy = 0;  // top-1, fraction
  std::size_t images = 0;
  BnTensorMap bn;  // the calibrated statistics it was measured with
};

// Accuracy of each of `configs`, in order. Same weights, data and options give the same results, bit for bit,
// whatever `threads`. calibration: training images without augmentation. Throws Error{interrupted} when the
// job is stopped.
[[nodiscard]] std::vector<Evaluation> evaluate(Supernet& net, const std::vector<SubnetConfig>& configs,
                                               const Dataset& calibration, const Dataset& data,
                                               const Preprocessing& how, const EvaluateOptions& options,
                                               Job& job);

}  // namespace dsn

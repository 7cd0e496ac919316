// SPDX-License-Identifier: Apache-2.0
// Accuracy of sub-networks on real images, with batch norm calibrated for each or with given statistics.
#pragma once

#include <vector>

#include "dsn/core/job.h"
#include "dsn/data/confusion.h"
#include "dsn/data/preprocess.h"
#include "dsn/supernet/supernet.h"

namespace dsn {

struct EvaluateOptions {
  std::size_t calibration_images = 2000;
  std::size_t calibration_batch = 200;
  std::size_t batch = 250;
  std::size_t images = 0;  // evaluate on the first so many; 0: all
  int threads = 1;         // threads that batches are shared among; results do not depend on it
};

// Where a sub-network's batch-norm statistics come from.
enum class BnSource {
  calibrated,  // measured on training images, now
  given,       // its own, measured before: a level's
  shared,      // the super-network's running ones, which belong to the largest sub-network
};

struct EvaluateTask {
  SubnetConfig config;
  BnSource source = BnSource::calibrated;
  BnTensorMap bn;  // BnSource::given: of every batch norm that the sub-network has
};

struct Evaluation {
  ConfusionMatrix confusion;
  std::int64_t top5 = 0;  // images whose label has one of the five largest logits
  BnTensorMap bn;         // the statistics it was measured with; empty: the shared ones

  [[nodiscard]] std::size_t images() const noexcept { return static_cast<std::size_t>(confusion.total()); }
  [[nodiscard]] double accuracy() const noexcept {
    return confusion.accuracy().value_or(0);
  }  // top-1, fraction
};

// Predictions of each of `tasks`, in order, counted. Same weights, data and options give the same results,
// bit for bit, whatever `threads`. calibration: training images without augmentation, needed where a task is
// to be calibrated. The job is advanced by one per task, in fractions. Throws Error{interrupted} when it is
// stopped, Error{mismatch} when what is computed is not the sub-network that was asked for (pass_count.h),
// Error{bad_input} for a data set without images, Error{failed} for logits that are not finite.
[[nodiscard]] std::vector<Evaluation> evaluate(Supernet& net, const std::vector<EvaluateTask>& tasks,
                                               const Dataset* calibration, const Dataset& data,
                                               const Preprocessing& how, const EvaluateOptions& options,
                                               Job& job);

// The same, all calibrated.
[[nodiscard]] std::vector<Evaluation> evaluate(Supernet& net, const std::vector<SubnetConfig>& configs,
                                               const Dataset& calibration, const Dataset& data,
                                               const Preprocessing& how, const EvaluateOptions& options,
                                               Job& job);

}  // namespace dsn

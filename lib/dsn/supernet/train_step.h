// SPDX-License-Identifier: Apache-2.0
// Forward and backward of one training step, shared among workers; what is computed is a StepTask, how the
// gradients are summed is fixed, so that equal tasks give equal gradients.
#pragma once

#include <memory>
#include <vector>

#include "dsn/supernet/batches.h"
#include "dsn/supernet/crew.h"
#include "dsn/supernet/optimizer.h"
#include "dsn/supernet/plan.h"
#include "dsn/supernet/supernet.h"

namespace dsn {

struct StepTask {
  StepRule rule = StepRule::sandwich;
  // sandwich: largest, smallest, random ones; labels: one; distil: the students, all of one resolution.
  std::vector<SubnetConfig> subnets;
  std::uint64_t dropout_seed = 0;  // worker w of all ranks draws from dropout_seed + w
};

// The task of `step` of `epoch`: depends on its arguments only.
[[nodiscard]] StepTask make_task(const TrainPhase& phase, const SearchSpace& space,
                                 const TrainOptions& options, int epoch, std::size_t step);

// Images [N, C, r0, r0] as [N, C, r, r]: antialiased as preprocess() does it.
[[nodiscard]] torch::Tensor resized(const torch::Tensor& images, int r);

// Means over the batch.
struct StepLoss {
  double first = 0;   // sandwich: the largest's; labels and distil: all there is
  double second = 0;  // sandwich: the smallest's
  bool stop = false;  // some rank was asked to stop
};

// thread-bound.
class StepRunner {
 public:
  // Workers `first_worker` to `first_worker` + options.workers of `all_workers`. The first worker's gradients
  // go straight into optimizer.gradient_buffer().
  StepRunner(Supernet& net, Optimizer& optimizer, const TrainOptions& options, int first_worker,
             int all_workers);

  // Adds the mean gradient of this process' part of a batch (`part`: what its workers take, in order), times
  // `loss_scale`, to optimizer.gradient_buffer(), the losses behind it. teacher: for StepRule::distil. stop:
  // this process was asked to.
  void run(const StepTask& task, const Batch& part, Supernet* teacher, double loss_scale, bool stop);
  // What run() (and the sum over ranks) left behind the gradients.
  [[nodiscard]] StepLoss losses() const;

  // Running statistics of the largest sub-network: the first worker's count.
  [[nodiscard]] std::map<std::string, torch::Tensor>& buffers() { return replicas_.front().buffers(); }

 private:
  void work(int worker, const StepTask& task, const Batch& mine, Supernet* teacher, double loss_scale);

  Optimizer& optimizer_;
  const TrainOptions& options_;
  const int first_worker_;
  const double share_;
  std::vector<Supernet> replicas_;        // over the super-network's weights
  std::vector<torch::Tensor> gradients_;  // of each replica: buffers as optimizer.gradient_buffer()
  Crew crew_;
};

// Sums `parts` into the first of them in a fixed tree: neighbours, then pairs of neighbours, and so on. The
// same bits whether the parts are workers of one process or a power of two of them in each of several.
void sum_as_tree(const std::vector<torch::Tensor>& parts);

}  // namespace dsn

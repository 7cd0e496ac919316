// SPDX-License-Identifier: Apache-2.0
// From data sets to tensors: shuffled, augmented training batches made ahead by threads, and plain
// evaluation batches.
#pragma once

#include <torch/torch.h>

#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "dsn/data/preprocess.h"

namespace dsn {

struct Batch {
  torch::Tensor images;  // float32 [n, C, r, r]
  torch::Tensor labels;  // int64 [n]
};

// Items `first`..`first + count` of `data`, preprocessed at r.
[[nodiscard]] Batch make_batch(const Dataset& data, const Preprocessing& how, int r, std::size_t first,
                               std::size_t count);

// `count` items spread evenly over `data`, in batches of `batch`: what batch-norm calibration uses.
[[nodiscard]] std::vector<torch::Tensor> calibration_batches(const Dataset& data, const Preprocessing& how,
                                                             int r, std::size_t count, std::size_t batch);

// What an epoch's batches are made of.
struct BatchPlan {
  int r = 0;                         // resolution they are made at
  std::size_t batch = 0;             // images of a step, over all ranks
  std::size_t first = 0, count = 0;  // the part of each batch that is made here; count 0: all of it
  std::uint64_t seed = 1;
  int epoch = 0;
  std::size_t first_step = 0;
  int loaders = 1;   // threads
  bool pin = false;  // page-locked memory, from which copies to a CUDA device run beside computation
};

// One epoch of training batches, prepared ahead by background threads. Item order and augmentation depend on
// seed, epoch and index only, never on timing or the number of threads. A last batch that is not full is left
// out. thread-bound.
class TrainBatches {
 public:
  TrainBatches(const Dataset& data, const Preprocessing& how, const Augmentation& augmentation,
               const BatchPlan& plan);
  ~TrainBatches();
  TrainBatches(const TrainBatches&) = delete;
  TrainBatches& operator=(const TrainBatches&) = delete;

  [[nodiscard]] static std::size_t steps(const Dataset& data, std::size_t batch) {
    return data.size() / batch;
  }
  // The next batch, undefined tensors at the end of the epoch. Rethrows what a thread met (an image that
  // cannot be read), once the batches before it are taken.
  [[nodiscard]] Batch next();

 private:
  void produce();
  Batch make(std::size_t step) const;

  const Dataset& data_;
  const Preprocessing how_;
  const Augmentation augmentation_;
  const BatchPlan plan_;
  std::vector<std::size_t> order_;

  struct Made {
    Batch batch;
    std::exception_ptr error;
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::size_t, Made> ready_;  // by step
  std::size_t claimed_, taken_;        // steps: the next to make, the next to give
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace dsn

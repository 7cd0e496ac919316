// SPDX-License-Identifier: Apache-2.0
// From data sets to tensors: shuffled, augmented training batches made ahead by a thread, and plain
// evaluation batches.
#pragma once

#include <torch/torch.h>

#include <condition_variable>
#include <deque>
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

// One epoch of training batches, prepared by a background thread. Item order and augmentation depend on seed,
// epoch and index only, never on timing. A last batch that is not full is left out. thread-bound.
class TrainBatches {
 public:
  TrainBatches(const Dataset& data, const Preprocessing& how, const Augmentation& augmentation, int r,
               std::size_t batch, std::uint64_t seed, int epoch, std::size_t first_step);
  ~TrainBatches();
  TrainBatches(const TrainBatches&) = delete;
  TrainBatches& operator=(const TrainBatches&) = delete;

  [[nodiscard]] static std::size_t steps(const Dataset& data, std::size_t batch) {
    return data.size() / batch;
  }
  // The next batch, undefined tensors at the end of the epoch. Rethrows what the thread met (an image that
  // cannot be read).
  [[nodiscard]] Batch next();

 private:
  void produce(std::size_t first_step);
  Batch make(std::size_t step) const;

  const Dataset& data_;
  const Preprocessing how_;
  const Augmentation augmentation_;
  const int r_;
  const std::size_t batch_;
  const std::uint64_t seed_;
  const int epoch_;
  std::vector<std::size_t> order_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::exception_ptr error_;
  bool done_ = false, stop_ = false;
  std::thread thread_;
};

}  // namespace dsn

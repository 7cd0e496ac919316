// SPDX-License-Identifier: Apache-2.0
// Training a super-network: sandwich rule with in-place distillation.
//
// Each step runs the largest sub-network on the labels, then the smallest and some random ones on the
// largest's outputs, and updates once (Yu and Huang, "Universally slimmable networks", ICCV 2019,
// arXiv:1903.05134; BigNAS, arXiv:2003.11142).
#pragma once

#include <optional>
#include <string>

#include "dsn/core/job.h"
#include "dsn/supernet/checkpoint.h"
#include "dsn/supernet/supernet.h"

namespace dsn {

struct TrainOptions {
  // Behaviour
  int epochs = 24;
  std::size_t batch = 128;
  double learning_rate = 0.2;  // peak, for `batch` images; cosine to zero after a linear warm-up
  double warmup_epochs = 1.0;
  double momentum = 0.9;         // Nesterov
  double weight_decay = 1e-4;    // convolution and linear weights only
  double label_smoothing = 0.1;  // on the largest sub-network's loss
  double dropout = 0.1;          // before the classifier, largest only
  int random_subnets = 1;        // besides the largest and the smallest
  double ema_decay = 0.999;      // of the weights that are evaluated and saved; 0: none
  double clip_norm = 5.0;        // gradient norm; 0: none
  Augmentation augmentation;
  std::uint64_t seed = 1;
  std::size_t calibration_images = 2000;
  // Workers that each take an equal part of every batch on one thread, with batch statistics of their own.
  // Faster on a CPU than one worker of many threads, and part of the result: another number gives other
  // (equally good) weights.
  int workers = 1;
  // Cost
  int stop_after = 0;      // end after so many epochs of the schedule, as if it were done; 0: all. --resume goes on from there
  int evaluate_every = 1;  // epochs between evaluations on the validation split
};

// Learning curve: one row per evaluated epoch.
struct TrainEpoch {
  int epoch = 0;
  double loss_largest = 0, loss_smallest = 0;  // mean over the epoch
  double images_per_s = 0;
  std::optional<double> accuracy_largest, accuracy_smallest;  // calibrated, validation split
};

struct TrainFiles {
  fs::path out;    // checkpoint, written at the end; `out`.state holds what --resume needs, rewritten after
                   // each epoch and on interruption
  fs::path curve;  // JSON lines, appended; empty: none
  bool resume = false;
};

// Trains from `info` (space, preprocessing, labels) and writes files.out with the averaged weights, running
// statistics calibrated for the largest sub-network, and a record of options, curve and final accuracies.
// Interrupted: state is saved, then Error{interrupted}. Throws Error{failed} when the loss is no longer
// finite, Error{mismatch} when a state file is of other options.
void train_supernet(CheckpointInfo info, const Dataset& train, const Dataset& val,
                    const TrainOptions& options, const TrainFiles& files, Job& job);

[[nodiscard]] Json to_json(const TrainOptions& options);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// What a training is asked to do. No LibTorch.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dsn/core/json.h"
#include "dsn/data/preprocess.h"
#include "dsn/space/search_space.h"

namespace dsn {

enum class Method {
  sandwich,  // largest, smallest and random sub-networks in every step, the largest teaches in place
  shrink,  // Once-for-All's progressive shrinking: the full network first, then it teaches ever smaller ones
  fixed,   // one sub-network alone: the baseline of a static network; "static" in files and flags
};
[[nodiscard]] std::string_view to_string(Method method) noexcept;
// Throws Error{bad_usage}.
[[nodiscard]] Method parse_method(std::string_view text);

// What convolutions and matrix products are computed in; anything but float32 needs CUDA.
enum class Precision { float32, bfloat16, float16 };
[[nodiscard]] std::string_view to_string(Precision precision) noexcept;
// "float32", "bfloat16" or "float16". Throws Error{bad_usage}.
[[nodiscard]] Precision parse_precision(std::string_view text);

// When training counts as derailed, and what is done then: back to the last good state, with a lower learning
// rate.
struct GuardOptions {
  // A loss this many robust deviations (1.4826 MAD) above the median of the last `window` steps is a spike;
  // 0: only a loss or gradient that is not finite is one.
  double spike = 12;
  std::size_t window = 100;
  double lr_factor = 0.5;            // learning rate after a rollback, for the rest of the training
  int rollbacks = 4;                 // then training fails; 0: fails at once
  std::size_t snapshot_steps = 200;  // steps between good states kept in memory
};

struct TrainOptions {
  // Behaviour
  Method method = Method::sandwich;
  std::optional<SubnetConfig> subnet;  // Method::fixed: what is trained
  int epochs = 24;
  std::size_t batch = 128;     // over all workers of all ranks
  double learning_rate = 0.2;  // peak, for `batch` images; cosine to zero after a linear warm-up
  double warmup_epochs = 1.0;
  double momentum = 0.9;         // Nesterov
  double weight_decay = 1e-4;    // convolution and linear weights only
  double label_smoothing = 0.1;  // on the loss against labels
  double dropout = 0.1;          // before the classifier, where the loss is against labels alone
  int random_subnets = 1;        // sandwich: besides the largest and the smallest
  double ema_decay = 0.999;      // of the weights that are evaluated and saved; 0: none
  double clip_norm = 5.0;        // gradient norm; 0: none
  Augmentation augmentation;
  std::uint64_t seed = 1;
  std::size_t calibration_images = 2000;
  // Workers that each take an equal part of every batch on one thread, with batch statistics of their own.
  // Faster on a CPU than one worker of many threads, and part of the result: another number gives other
  // (equally good) weights. With several ranks: of each.
  int workers = 1;
  GuardOptions guard;
  // Where, and how exactly: not compared on --resume, and bits are only the same on the same device.
  std::string device = "cpu";
  Precision precision = Precision::float32;
  // Cost
  int loaders = 1;  // threads that prepare batches; not part of the result
  int stop_after =
      0;  // end after so many epochs of the schedule, as if it were done; 0: all. --resume goes on from there
  int evaluate_every = 1;      // epochs between evaluations on the validation split
  double state_every_s = 600;  // longest time between states on disk, within epochs
};

// For records. `ranks` multiplies the workers: that is how many share a batch.
[[nodiscard]] Json to_json(const TrainOptions& options, const SearchSpace& space, int ranks = 1);

// Whether a state made with `before` (its "options") goes on as the same training with `now`: everything but
// the guard's settings has to agree. Older files lack some keys, which then have the only meaning they had
// when the file was written (method sandwich).
[[nodiscard]] bool same_training(const Json& before, const Json& now);

}  // namespace dsn

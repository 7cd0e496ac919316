// SPDX-License-Identifier: Apache-2.0
// The state file of a training: all that the next step depends on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/core/safetensors.h"

namespace dsn {

// Where a training is, and what it has met.
struct TrainProgress {
  int epoch = 0;             // from 0, of the whole plan
  std::size_t step = 0;      // within the epoch: the next to run
  std::int64_t updates = 0;  // of the optimizer, in this phase
  double elapsed_s = 0;
  double loss_first = 0, loss_second = 0, loss_steps = 0;  // sums over the epoch so far
  double lr_scale = 1;                                     // below 1 after rollbacks
  int rollbacks = 0;
  std::size_t skipped = 0;            // steps left out because they failed twice
  std::vector<double> recent_losses;  // what LossWatch compares with
  Json curve = Json::array();
};

// Writes atomically.
void write_train_state(const fs::path& path, const TrainProgress& progress, const Json& options,
                       const Json& plan, const std::string& space_sha256,
                       const std::map<std::string, TensorView>& tensors);

// What a state file says beside its tensors.
[[nodiscard]] Json to_json(const TrainProgress& progress);
// Throws Error{bad_input} naming `file`. `epochs`, `steps`: bounds of a position.
[[nodiscard]] TrainProgress parse_train_progress(const Json& json, const std::string& file, int epochs,
                                                 std::size_t steps);

struct TrainState {
  TrainProgress progress;
  TensorFile tensors;
};

// Throws Error{not_found | bad_input}; Error{mismatch} when it is of another space or of options that are not
// the same_training().
[[nodiscard]] TrainState read_train_state(const fs::path& path, const Json& options,
                                          const std::string& space_sha256, int epochs, std::size_t steps);

}  // namespace dsn

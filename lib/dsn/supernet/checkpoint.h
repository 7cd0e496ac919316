// SPDX-License-Identifier: Apache-2.0
// A trained super-network on disk: safetensors with its space, preprocessing, labels and training record. No
// LibTorch.
#pragma once

#include <string>
#include <vector>

#include "dsn/core/safetensors.h"
#include "dsn/data/preprocess.h"
#include "dsn/space/search_space.h"

namespace dsn {

struct CheckpointInfo {
  SearchSpace space;
  Preprocessing preprocessing;
  std::vector<std::string> class_names;  // [classes], or empty when unknown
  std::string dataset;                   // spec it was trained on: "fashion-mnist"
  Json record;  // how it was made: options, epochs, accuracies, host; null if unknown
};

struct Checkpoint {
  CheckpointInfo info;
  TensorFile tensors;          // names: see supernet.h
  std::string weights_sha256;  // tensors_sha256() of all tensors

  // Throws Error{not_found | bad_input}: a foreign safetensors file (no dsn.checkpoint metadata), truncation,
  // newer version.
  static Checkpoint open(const fs::path& path);
};

// Writes atomically. `tensors` as Supernet::tensor_views().
void write_checkpoint(const fs::path& path, const CheckpointInfo& info,
                      const std::map<std::string, TensorView>& tensors);

}  // namespace dsn

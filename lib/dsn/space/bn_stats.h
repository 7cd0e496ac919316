// SPDX-License-Identifier: Apache-2.0
// Calibrated batch-norm statistics of one sub-network: what a level carries besides the shared weights.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "dsn/core/safetensors.h"

namespace dsn {

struct BnLayerStats {
  std::vector<float> mean;      // [active channels]
  std::vector<float> variance;  // [active channels], biased
};

// Keyed by the batch norm's weight prefix in the checkpoint ("blocks.3.depth.bn"). Empty: use the shared
// statistics.
using BnStats = std::map<std::string, BnLayerStats>;

// Tensors "<prefix>/<layer>.mean" and ".variance" of one file. load throws Error{bad_input} if nothing has
// the prefix.
[[nodiscard]] BnStats load_bn_stats(const TensorFile& file, const std::string& prefix);
void append_bn_stats(const BnStats& stats, const std::string& prefix, std::map<std::string, TensorView>& out);

}  // namespace dsn

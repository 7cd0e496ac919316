// SPDX-License-Identifier: Apache-2.0
// dsn eval --tensors: logits of raw input tensors.
#pragma once

#include <string>

#include "cli/eval_model.h"

namespace dsn::cli {

struct EvalTensors {
  std::string file, input;  // input: a tensor's name, or empty
  std::string calibrate;    // "FILE[:NAME]", or empty: stored statistics
};

// The tensor of `file` that `config` shall see: `name`; else the only one; else the one named by the
// resolution ("64"); else the only one of shape [N, C, r, r]. Throws Error{not_found | bad_usage} listing
// what there is.
[[nodiscard]] std::string choose_tensor(const TensorFile& file, const std::string& name,
                                        const SearchSpace& space, const SubnetConfig& config,
                                        const std::string& flag);

// A dsn.report of kind "logits" for the only subject of `model`; `text` receives what people read.
[[nodiscard]] Json logits_report(const EvalModel& model, const EvalTensors& tensors, std::string& text);

}  // namespace dsn::cli

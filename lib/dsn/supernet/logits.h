// SPDX-License-Identifier: Apache-2.0
// A sub-network on given tensors, without preprocessing: what parity with another framework is checked by.
#pragma once

#include <vector>

#include "dsn/supernet/supernet.h"

namespace dsn {

// input: float32 [N, C, r, r], NCHW, r and C of the sub-network; bn: its own statistics, empty for the shared
// ones; returns float32 [N][classes]. Throws Error{bad_input} naming `name` for another dtype or shape,
// Error{mismatch} as evaluate().
[[nodiscard]] std::vector<std::vector<float>> logits_of(Supernet& net, const SubnetConfig& config,
                                                        const TensorView& input, const std::string& name,
                                                        const BnTensorMap& bn);

// Statistics of `config` over exactly one batch, as logits_of()'s input.
[[nodiscard]] BnTensorMap calibrate_on(Supernet& net, const SubnetConfig& config, const TensorView& batch,
                                       const std::string& name);

}  // namespace dsn

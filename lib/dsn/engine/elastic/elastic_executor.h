// SPDX-License-Identifier: Apache-2.0
// The executor that runs every sub-network from one packed set of weights, on CPUs, without LibTorch.
#pragma once

#include "dsn/engine/executor.h"

namespace dsn {

// "elastic" of make_executor(). Throws Error{unsupported} for another device than "cpu", Error{bad_input |
// mismatch} for weights that are not `space`'s, and as elastic::kernels_for().
[[nodiscard]] std::unique_ptr<Executor> make_elastic_executor(const SearchSpace& space,
                                                              const TensorFile& weights,
                                                              const std::string& device);

}  // namespace dsn

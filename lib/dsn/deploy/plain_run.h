// SPDX-License-Identifier: Apache-2.0
// Runs a FoldedNetwork with plain loops: what its layers mean, without any library. Exact rather than fast.
#pragma once

#include <span>
#include <vector>

#include "dsn/deploy/folded_network.h"

namespace dsn {

// input: float32 [batch, in_channels, resolution, resolution]; returns logits float32 [batch, classes]. Sums
// in float32, as other runtimes do. Throws Error{bad_usage} for an input of another size, Error{bad_input}
// naming a layer whose inputs or weights do not fit it: layers may come from a file. thread-safe.
[[nodiscard]] std::vector<float> run_plain(const FoldedNetwork& net, std::span<const float> input, int batch);

// The same check without running. Throws Error{bad_input}.
void check_layers(const FoldedNetwork& net);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// A sub-network's own batch-norm statistics are used whole, or refused: never those of another, never filled
// up with the super-network's, which belong to the largest.
#pragma once

#include <string>

#include "dsn/supernet/supernet.h"

namespace dsn {

// The entry of `norm`. Throws Error{mismatch} naming it unless it is there and has `channels`.
[[nodiscard]] const BnTensors& require_statistics(const BnTensorMap& stats, const std::string& norm,
                                                  std::int64_t channels);
// The other half: throws Error{mismatch} naming `what` if `stats` has others than the `norms` batch norms
// that it was asked for.
void require_all_used(const BnTensorMap& stats, std::size_t norms, const std::string& what);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// The parts of dsn export that need LibTorch.
#pragma once

#include <memory>
#include <optional>

#include "dsn/data/dataset.h"
#include "dsn/data/preprocess.h"
#include "dsn/deploy/export_format.h"

namespace dsn::cli {

// Throws Error{unsupported} in a build without LibTorch.
[[nodiscard]] std::unique_ptr<ExportFormat> make_torchscript_format();

// Batch-norm statistics of `config` over `images` training images, as dsn eval calibrates. Nothing in a build
// without LibTorch.
[[nodiscard]] std::optional<BnStats> calibrated_statistics(const SearchSpace& space,
                                                           const TensorFile& weights,
                                                           const Preprocessing& how,
                                                           const SubnetConfig& config, const Dataset& train,
                                                           std::size_t images);

}  // namespace dsn::cli

// SPDX-License-Identifier: Apache-2.0
// Sub-networks as TorchScript (torch.jit.load, torch::jit::load), made without Python. Needs the dsn-torch
// library.
//
// forward(x: float32 [N, C, r, r], normalised) -> float32 [N, classes], any N. The archive also holds
// "dsn.json": name, config, hashes, preprocessing and class names.
#pragma once

#include <memory>

#include "dsn/deploy/export_format.h"

namespace dsn {

[[nodiscard]] std::unique_ptr<ExportFormat> torchscript_format();

}  // namespace dsn

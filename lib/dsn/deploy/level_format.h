// SPDX-License-Identifier: Apache-2.0
// Sub-networks as data: NAME.json (dsn.level) lists the layers in order with their shapes, NAME.safetensors
// holds their weights. Enough to run one elsewhere, and what this module itself reads back to check what it
// wrote.
#pragma once

#include <memory>

#include "dsn/deploy/export_format.h"

namespace dsn {

// Verified by reading both files again and running them with plain loops (plain_run.h).
[[nodiscard]] std::unique_ptr<ExportFormat> level_format();

// Reads a dsn.level document and the tensors beside it. Throws Error{not_found | bad_input | mismatch} with
// file and JSON path; layers that do not fit together as check_layers().
[[nodiscard]] FoldedNetwork read_level(const fs::path& document);

}  // namespace dsn

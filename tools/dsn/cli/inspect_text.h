// SPDX-License-Identifier: Apache-2.0
// dsn's files as text for people: what made them, and what is in them.
#pragma once

#include <string>

#include "dsn/core/json.h"
#include "dsn/core/safetensors.h"
#include "dsn/deploy/bundle.h"
#include "dsn/supernet/checkpoint.h"

namespace dsn::cli {

// A checked document of one of dsn's schemas; `path` is where it was read.
[[nodiscard]] std::string document_text(const Json& document, const fs::path& path);

[[nodiscard]] std::string bundle_text(const Bundle& bundle);
[[nodiscard]] std::string checkpoint_text(const Checkpoint& checkpoint);

// Names, types and shapes. `limit`: rows shown; how many are left out is said.
[[nodiscard]] std::string tensors_text(const TensorFile& file, std::size_t limit);

}  // namespace dsn::cli

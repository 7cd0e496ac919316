// SPDX-License-Identifier: Apache-2.0
// The JSON schemas compiled into the library; schemas.cc is made by embed_schemas.py. Not installed: see
// json.h.
#pragma once

#include <span>
#include <string_view>

namespace dsn {

struct EmbeddedSchema {
  std::string_view name;  // "dsn.lut"
  int version;            // newest schema_version that the schema describes
  std::string_view text;
};

// Sorted by name.
[[nodiscard]] std::span<const EmbeddedSchema> embedded_schemas() noexcept;

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// The text of a bundle's manifest, which holds its own sha256. Not installed.
#pragma once

#include <string>
#include <string_view>

#include "dsn/core/json.h"

namespace dsn {

inline constexpr const char* kManifestFile = "manifest.json";

// dump_json() of `manifest` with "manifest_sha256" filled in: the hash of that very text with zeros in its
// place.
[[nodiscard]] std::string seal_manifest(Json manifest);

// The hash in a sealed text. Throws Error{bad_input | mismatch} naming `file` when it is absent or not the
// text's.
[[nodiscard]] std::string check_seal(std::string_view text, const std::string& file);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Pieces of messages about JSON values. Not installed: see json.h.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace dsn {

// `pointer` with one reference token added, escaped as RFC 6901 says.
[[nodiscard]] std::string child_pointer(const std::string& pointer, std::string_view token);

// A value as messages show it: short scalars as they are, "an array of 3", "an object".
[[nodiscard]] std::string found_text(const nlohmann::json& value);

// "FILE: POINTER", or only "FILE" for the whole document.
[[nodiscard]] std::string place_text(const std::string& file, const std::string& pointer);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// What `dsn --version` prints.
#pragma once

#include <string>

#include "dsn/core/json.h"

namespace dsn::cli {

// A line per fact, "dsn VERSION" first.
[[nodiscard]] std::string version_text();

// The same: `tool` as in the files that dsn writes, `features` (name to version, or true or false),
// `executors` and more.
[[nodiscard]] Json version_json();

}  // namespace dsn::cli

// SPDX-License-Identifier: Apache-2.0
// Models of applications out of bundles, for replaying.
#pragma once

#include <string>

#include "dsn/replay/workload.h"

namespace dsn::cli {

// The costs on the platform that is replayed; of the first device when any will do.
[[nodiscard]] AppModel read_bundle(const fs::path& path, const std::string& platform_sha256);

// Costs of a bundle on the platform in `platform_file`; without one, on its first look-up table's own.
[[nodiscard]] CostTable costs_of_bundle(const fs::path& path, const fs::path& platform_file);

}  // namespace dsn::cli

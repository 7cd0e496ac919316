// SPDX-License-Identifier: Apache-2.0
// How hot a machine is: the kernel's thermal zones
// (https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-class-thermal).
#pragma once

#include <functional>
#include <optional>

#include "dsn/core/file.h"

namespace dsn {

// Reads the hottest of the zones below `root` ("" is the real one) in degrees Celsius, nothing while none can
// be read. Empty where there is no zone. The function returned is thread-safe.
[[nodiscard]] std::function<std::optional<double>()> thermal_reader(const fs::path& root = {});

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// A platform as a table for people.
#pragma once

#include <string>

#include "dsn/platform/dvfs.h"
#include "dsn/platform/platform.h"

namespace dsn::cli {

// Clusters, frequencies, power and modes. control: adds what can be set here; none for a board that is not
// this machine.
[[nodiscard]] std::string platform_text(const Platform& platform, const FrequencyControl* control);

}  // namespace dsn::cli

// SPDX-License-Identifier: Apache-2.0
// What the subcommands that measure have in common.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"
#include "dsn/platform/platform.h"
#include "dsn/profile/lut.h"

namespace dsn::cli {

// The platform in `file`, or this machine (below `sysfs_root`) when it is empty.
[[nodiscard]] Platform platform_or_this_machine(const std::string& file, const std::string& sysfs_root = {});

// For people: "AMD EPYC 7B13, 2 CPUs".
[[nodiscard]] std::string device_name();

// What makes numbers of this build or machine doubtful right now: a debug or sanitizer build, a busy machine.
[[nodiscard]] std::vector<std::string> measuring_doubts();

// An envelope of `schema` that carries `doubts` as its warnings.
[[nodiscard]] Json doubtful_envelope(std::string_view schema, std::uint64_t seed,
                                     const std::vector<std::string>& doubts);

}  // namespace dsn::cli

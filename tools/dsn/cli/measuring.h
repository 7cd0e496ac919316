// SPDX-License-Identifier: Apache-2.0
// What the subcommands that measure have in common.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/session.h"
#include "dsn/platform/dvfs.h"
#include "dsn/platform/platform.h"
#include "dsn/profile/lut.h"

namespace dsn::cli {

// The platform in `file`, or this machine when it is empty.
[[nodiscard]] Platform platform_or_this_machine(const std::string& file);

// For people: "AMD EPYC 7B13, 2 CPUs".
[[nodiscard]] std::string device_name();

// What makes numbers of this build or machine doubtful right now: a debug or sanitizer build, a busy machine.
[[nodiscard]] std::vector<std::string> measuring_doubts();

// An envelope of `schema` that carries `doubts` as its warnings.
[[nodiscard]] Json doubtful_envelope(std::string_view schema, std::uint64_t seed,
                                     const std::vector<std::string>& doubts);

// --dvfs: "off" leaves frequencies alone (nothing is returned), "control" sets them. Throws Error{unsupported
// | permission} at once when `cluster` cannot be set.
[[nodiscard]] std::unique_ptr<FrequencyControl> control_for(const std::string& dvfs, const Platform& platform,
                                                            std::size_t cluster);

}  // namespace dsn::cli

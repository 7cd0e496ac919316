// SPDX-License-Identifier: Apache-2.0
// What a machine lets dsn measure and set, what not, and what would change that.
#pragma once

#include <string>
#include <vector>

#include "dsn/platform/dvfs.h"
#include "dsn/platform/meter.h"
#include "dsn/platform/platform.h"

namespace dsn {

enum class Able { yes, partly, no };
[[nodiscard]] std::string_view to_string(Able able) noexcept;

struct Finding {
  std::string area;  // "frequency", "energy", "temperature", "placement", "power mode", "state"
  std::string what;  // "cpu (policy0)", "VDD_IN"
  Able able = Able::yes;
  std::string detail;  // what was found
  std::string change;  // what would make more of it; empty when nothing would
};

// Looks at sysfs and procfs under `root` ("" is the real one) and writes nothing. `state_file`: where a
// killed dsn would have left what to put back. Never throws for a missing node.
[[nodiscard]] std::vector<Finding> examine_machine(const Platform& platform, const fs::path& root,
                                                   const fs::path& state_file);

// Content of a `dsn.doctor` document, without the envelope.
[[nodiscard]] Json to_json(const std::vector<Finding>& findings);

}  // namespace dsn

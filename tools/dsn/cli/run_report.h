// SPDX-License-Identifier: Apache-2.0
// What dsn run says at its end: the report (dsn.report, kind run) and the text for people.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dsn/deploy/application_set.h"
#include "dsn/runtime/live.h"

namespace dsn::cli {

struct RunSettings {
  std::uint64_t seed = 1;
  std::string policy, dvfs, device;
};

// runs: an entry per application. Of a single one, "run" and "settings" say the same at the top, too.
[[nodiscard]] Json run_report(const RunSettings& settings, const ApplicationSet& apps,
                              const Platform& platform, std::span<const AppOutcome> outcomes,
                              const std::vector<std::string>& doubts);

[[nodiscard]] std::string run_text(const ApplicationSet& apps, std::span<const AppOutcome> outcomes);

}  // namespace dsn::cli

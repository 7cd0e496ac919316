// SPDX-License-Identifier: Apache-2.0
// Replaying a trace under several policies: files in, report out. Start here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/core/json.h"
#include "dsn/replay/report.h"
#include "dsn/replay/simulator.h"
#include "dsn/replay/workload.h"

namespace dsn {

// What to replay:
//   dsn, dsn:..., static:LEVEL        any policy of make_policy(); OPPs that it leaves to governors:
//   schedutil and nvhost_podgov performance | powersave | schedutil        static:largest under that
//   governor; another level: schedutil:smallest, schedutil:2
// On GPUs, performance and powersave are devfreq's governors of these names, and schedutil, which never
// touches a GPU, stands for the board's default, nvhost_podgov.
struct PolicySpec {
  std::string text;
  std::string policy;  // for make_policy()
  GovernorNames governors;
};
// Throws Error{bad_usage} listing what there is.
[[nodiscard]] PolicySpec parse_policy_spec(const std::string& text);
[[nodiscard]] std::vector<std::string> replay_policy_names();

struct ReplayOptions {
  std::vector<std::string> policies = {"dsn", "schedutil", "performance", "powersave"};
  std::optional<std::uint64_t> seed;  // default: the trace's
  int threads = 1;                    // policies simulated at a time; no effect on the result
};

// Returns the dsn.report. Throws Error{bad_usage} for an unknown policy, and what simulate() throws.
[[nodiscard]] Json replay(const LoadedWorkload& loaded, const ReplayOptions& options,
                          Job& job = silent_job());

}  // namespace dsn

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
//   dsn, dsn:..., static:LEVEL   any policy of make_policy(); OPPs that it leaves to governors get schedutil
//   and
//                                nvhost_podgov
//   GOVERNOR, GOVERNOR:LEVEL     static:largest, or another level, under a governor of governor_names(); also
//   with
//                                "governor:" before
//   GOVERNOR+GPU_GOVERNOR        the GPU's governor named, too: schedutil+simple_ondemand
//   oracle                       no policy but the bound of oracle.h; every other policy then has its gap
// performance, powersave and userspace are devfreq's governors, too; beside the others, which never touch a
// GPU, it runs under the board's default, nvhost_podgov.
struct PolicySpec {
  std::string text;
  std::string policy;  // for make_policy()
  GovernorNames governors;
};
// Throws Error{bad_usage} listing what there is.
[[nodiscard]] PolicySpec parse_policy_spec(const std::string& text);
[[nodiscard]] bool is_oracle(const PolicySpec& spec) noexcept;
[[nodiscard]] std::vector<std::string> replay_policy_names();

struct ReplayOptions {
  std::vector<std::string> policies = {"dsn", "schedutil", "performance", "powersave"};
  std::optional<std::uint64_t> seed;  // default: the trace's
  int seeds = 1;                      // that many, from the first one on
  int threads = 1;                    // simulated at a time; no effect on the result
  std::vector<std::string> fail_if;   // conditions of fail_if.h, judged in the report's "conditions"
};

// Returns the dsn.report. Throws Error{bad_usage} for an unknown policy or condition, and what simulate() and
// judge() throw.
[[nodiscard]] Json replay(const LoadedWorkload& loaded, const ReplayOptions& options,
                          Job& job = silent_job());

}  // namespace dsn

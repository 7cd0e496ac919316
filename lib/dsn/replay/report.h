// SPDX-License-Identifier: Apache-2.0
// The report of a replay (`dsn.report`, kind "replay"): per policy and application what it cost and what was
// met. A pure function of its inputs and seed: the same ones give the same bytes. An absent number is null
// with its reason beside it.
#pragma once

#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/replay/workload.h"

namespace dsn {

// One policy over the workload.
struct PolicyRun {
  std::string spec;  // as asked: "schedutil", "dsn"
  std::string name;  // the policy class's own: "static:largest"
  GovernorNames governors;
  SimResult result;
};

// Runs come out in the order given.
[[nodiscard]] Json replay_report(const LoadedWorkload& loaded, std::uint64_t seed,
                                 const std::vector<PolicyRun>& runs);

// What a person reads, from a report: a header row, then one row per policy and application. One unit per
// column.
[[nodiscard]] std::vector<std::vector<std::string>> replay_table(const Json& report);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// The report of a replay (`dsn.report`, kind "replay"): per policy and application what it cost and what was
// met. A pure function of its inputs and seed: the same ones give the same bytes. An absent number is null
// with its reason beside it.
#pragma once

#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/replay/oracle.h"
#include "dsn/replay/workload.h"

namespace dsn {

// One policy over the workload, with one seed.
struct PolicyRun {
  std::string spec;  // as asked: "schedutil", "dsn"
  std::string name;  // the policy class's own: "static:largest"
  GovernorNames governors;
  SimResult result;
  std::optional<ServiceBound> bound;  // of the service that it gave, where the oracle was asked for
};

// The entry of "policies" of one run.
[[nodiscard]] Json policy_json(const Workload& workload, const PolicyRun& run);

// Policies come out in the order given, each as policy_json() made it of the first seed, with "figures" over
// all.
[[nodiscard]] Json replay_report(const LoadedWorkload& loaded, const std::vector<std::uint64_t>& seeds,
                                 std::vector<Json> policies);

// What a person reads, from a report: a header row, then one row per policy and application. One unit per
// column; over several seeds means with the half-width of their 95 % interval.
[[nodiscard]] std::vector<std::vector<std::string>> replay_table(const Json& report);

}  // namespace dsn

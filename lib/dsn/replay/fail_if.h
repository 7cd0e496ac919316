// SPDX-License-Identifier: Apache-2.0
// Conditions on a replay's figures, for continuous integration: `dsn replay --fail-if CONDITION`.
//
//   CONDITION := FIGURE OP ( NUMBER | [NUMBER '*'] FIGURE )       blanks are allowed anywhere
//   FIGURE    := POLICY '.' [APP '.'] NAME                        names of metrics.h
//   OP        := '>' | '>=' | '<' | '<='
//   dsn.deadline_miss>0.01      dsn.cam.latency_p99_s > 0.05      dsn.energy_j > 1.05*schedutil.energy_j
//
// Over several seeds a figure is its mean.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsn/core/json.h"

namespace dsn {

struct FigureName {
  std::string policy;
  std::string figure;  // "deadline_miss", "cam.deadline_miss"
};

struct Condition {
  std::string text;
  FigureName left;
  bool greater = true, or_equal = false;
  double factor = 0;  // of `right`; alone without it
  std::optional<FigureName> right;
};

// `policies` are those replayed, `apps` the trace's. Throws Error{bad_usage} for what is no condition, and
// for a name that is not there, listing those that are.
[[nodiscard]] Condition parse_condition(const std::string& text, const std::vector<std::string>& policies,
                                        const std::vector<std::string>& apps);

// "conditions" of a report whose policies have "figures": {condition, left, right, holds}. Throws
// Error{bad_input} for a figure that has no value, with the reason: a gate must not pass because nothing is
// known.
[[nodiscard]] Json judge(const std::vector<Condition>& conditions, const Json& report);

// What holds of a report's conditions, one line; empty when none does.
[[nodiscard]] std::string failed_conditions(const Json& report);

}  // namespace dsn

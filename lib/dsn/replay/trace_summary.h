// SPDX-License-Identifier: Apache-2.0
// What a trace asks for, before anything is simulated: for `dsn trace check` and `dsn trace plot`.
#pragma once

#include <string>

#include "dsn/core/json.h"
#include "dsn/replay/page.h"
#include "dsn/replay/trace.h"

namespace dsn {

// {file, sha256, duration_s, seed, events, tasks: [{name, kind, ...}]}: of an app how many arrivals come,
// their mean rate and the highest over a hundredth of the trace; of a contender the cores that it keeps busy
// on average at the highest frequency.
[[nodiscard]] Json trace_summary(const Trace& trace);

// Lines for a person.
[[nodiscard]] std::string summary_text(const Json& summary);

// Arrivals, targets and contenders over time.
[[nodiscard]] Page trace_page(const Trace& trace);

}  // namespace dsn

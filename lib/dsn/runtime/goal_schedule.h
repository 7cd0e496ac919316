// SPDX-License-Identifier: Apache-2.0
// Goals that change at set times of a live run (`dsn.schedule`): what a trace's "set" events are to replay.
// Written by hand, so the reader is strict and accepts comments.
//
//   { "schema": "dsn.schedule", "schema_version": 1,
//     "events": [ { "at_s": 30, "set": { "task": "cam", "target_s": 0.012, "min_accuracy": 0.93 } },
//                 { "at_s": 45, "set": { "task": "cam", "priority": 2, "paused": true } } ] }
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/runtime/goal_changes.h"

namespace dsn {

// From the arrival at or after `at_s` on.
struct GoalEvent {
  double at_s = 0;
  GoalChange change;
};

// Immutable once read.
struct GoalSchedule {
  std::vector<std::vector<GoalEvent>> events;  // by application, in time order

  // apps: names, in the order of the run's. Throws Error{bad_input | not_found}: FILE: POINTER: what was
  // found and expected.
  static GoalSchedule load(const fs::path& path, std::span<const std::string> apps);
  static GoalSchedule parse(const Json& document, const std::string& file, std::span<const std::string> apps);
};

}  // namespace dsn

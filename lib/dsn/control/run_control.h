// SPDX-License-Identifier: Apache-2.0
// Answers requests about one run: what changes goes into its GoalChanges, what is asked comes from its
// RunBoard.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "dsn/control/request.h"
#include "dsn/runtime/goal_changes.h"
#include "dsn/runtime/run_state.h"

namespace dsn {

// thread-safe. What it is made of must outlive it.
class RunControl {
 public:
  // stop: asks the run to end; thread-safe.
  RunControl(GoalChanges& changes, const RunBoard& board, std::function<void()> stop);

  // The line that answers `line`, never empty. Whatever `line` is, the worst is a refusal.
  [[nodiscard]] std::string answer(std::string_view line) const;

 private:
  [[nodiscard]] Json perform(const ControlRequest& request) const;
  [[nodiscard]] std::string_view app_of(const ControlRequest& request) const;
  GoalChanges& changes_;
  const RunBoard& board_;
  std::function<void()> stop_;
};

// What every application and cluster of a run does now (dsn.status). Unknown numbers are null with a reason.
// Before the run has begun `running` is false, and there are no applications.
[[nodiscard]] Json status_of(const RunBoard& board);

}  // namespace dsn

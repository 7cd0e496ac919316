// SPDX-License-Identifier: Apache-2.0
// What watches and steers a dsn run beside it: control socket, metrics file, trace, live view, watchdog.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/session.h"
#include "dsn/runtime/goal_changes.h"
#include "dsn/runtime/policy.h"
#include "dsn/runtime/run_state.h"
#include "dsn/runtime/run_summary.h"

namespace dsn::cli {

struct WatchFlags {
  std::string socket, metrics, chrome_trace, safe_setting = "last";
  std::optional<double> watchdog_s;
};
void add_watch_flags(CLI::App& app, WatchFlags& flags);

// Lives around a run that is given its parts. Everything runs beside the run but add(), which is called by
// it.
class Watching {
 public:
  // apps: names in the run's order. Throws what cannot be opened: before the run begins.
  Watching(const WatchFlags& flags, std::vector<std::string> apps, const Session& session);
  ~Watching();
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

  // Of the run: where it publishes, what changes its goals, and the job that it works as.
  [[nodiscard]] RunBoard& board() noexcept;
  [[nodiscard]] GoalChanges& changes() noexcept;
  [[nodiscard]] Job& job() noexcept;
  // `policy`, under a watchdog where one was asked for.
  [[nodiscard]] std::unique_ptr<Policy> guarded(std::unique_ptr<Policy> policy);

  // An arrival of application `app`.
  void add(std::size_t app, const LiveRecord& record);
  // After the run: ends what is written. Throws Error{io} when a file is incomplete.
  void close();
  // A line on what the watchdog saw; empty when there was nothing.
  [[nodiscard]] std::string summary() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace dsn::cli

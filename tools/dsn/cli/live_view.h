// SPDX-License-Identifier: Apache-2.0
// What a run does, redrawn in place on a terminal (stderr), five times a second at most.
//
// Only lines that it drew are ever moved over or wiped, the cursor stays visible and no mode of the terminal
// is changed: however the run ends, there is nothing to put back.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/control/background.h"
#include "dsn/core/job.h"
#include "dsn/runtime/run_state.h"
#include "dsn/runtime/run_summary.h"

namespace dsn::cli {

// The job of a run that is watched: begins to draw with the phase "running" and wipes at its end; other
// phases and all lines go on to `inner`. thread-safe.
class LiveView final : public Job {
 public:
  // Both must outlive it.
  LiveView(Job& inner, const RunBoard& board);
  ~LiveView() override;
  LiveView(const LiveView&) = delete;
  LiveView& operator=(const LiveView&) = delete;

  void begin(std::string_view phase, double total) override;
  void advance(double done, std::string_view note) override;
  void end() override;
  void info(std::string_view line) override;
  void warn(std::string_view line) override;
  [[nodiscard]] bool stop_requested() const noexcept override { return inner_.stop_requested(); }

  // An inference of application `app`: what the last decisions were.
  void add(std::size_t app, const LiveRecord& record);

 private:
  struct Change {
    double at_s;
    std::size_t app;
    int from, to;
    double slowdown;
  };
  void draw();
  void wipe();
  [[nodiscard]] std::vector<std::string> lines(std::size_t columns);
  [[nodiscard]] std::string change_text(const Change& change, const RunDescription& description) const;

  Job& inner_;
  const RunBoard& board_;
  std::mutex mutex_;
  bool running_ = false;
  std::vector<std::size_t> drawn_;  // columns of the lines on the screen
  std::deque<Json> history_;        // statuses of the last moments, for recent numbers
  std::vector<std::optional<int>> levels_;
  std::deque<Change> changes_;
  std::optional<Background> drawer_;
};

}  // namespace dsn::cli

// SPDX-License-Identifier: Apache-2.0
// One application's part of a live run: arrivals, pauses, changed goals. Internal to runtime: live.h is the
// entry.
#pragma once

#include <atomic>
#include <functional>
#include <optional>

#include "dsn/runtime/live.h"

namespace dsn {

// thread-bound, but for progress.
class LiveLoop {
 public:
  // Before `at_s` of the run's time nothing has to be told.
  using Report = std::function<void(double at_s)>;
  struct Progress {
    std::atomic<int> level{0};
    std::atomic<double> met_share{1};
  };

  LiveLoop(std::size_t app, const LiveApp& live, LiveManager& manager, const LiveInputs& inputs,
           std::string threads_named, Job& job);

  // Before the run begins; fetches the first frame, too.
  void warm_up();
  // Until the application leaves.
  void run(const AppRecordSink& sink, const Report& report);
  // It ends here, whether it has begun or not.
  void leave(bool failed) noexcept;

  [[nodiscard]] const Progress& progress() const noexcept { return progress_; }
  [[nodiscard]] const RunSummary& summary() const noexcept { return summary_; }

 private:
  enum class Next { frame, skip, end };
  [[nodiscard]] bool fixed_rate() const noexcept { return options().period_s > 0; }
  [[nodiscard]] const AppOptions& options() const noexcept { return live_.options; }
  [[nodiscard]] double now() const noexcept { return manager_.now_s(); }
  [[nodiscard]] bool wait_until(double time_s);
  [[nodiscard]] double next_arrival() const noexcept;
  [[nodiscard]] bool over(double scheduled_s) const noexcept;
  [[nodiscard]] bool too_late(double scheduled_s) const noexcept;
  void take_changes(double at_s);
  void change(const GoalChange& change);
  [[nodiscard]] bool pass_pause();

  std::size_t app_;
  const LiveApp& live_;
  LiveManager& manager_;
  LiveInputs inputs_;
  Job& job_;
  ManagedInference managed_;
  RunSummary summary_;
  Progress progress_;
  std::optional<Frame> frame_;
  std::int64_t index_ = 0;       // of the next arrival
  std::int64_t since_base_ = 0;  // arrivals
  double base_s_ = 0;            // the schedule's beginning: the start, or the end of the last pause
  std::size_t event_ = 0;
  bool paused_ = false, stopped_ = false;
};

}  // namespace dsn

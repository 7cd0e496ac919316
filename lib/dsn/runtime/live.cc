// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/live.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/units.h"

namespace dsn {
namespace {

constexpr double kStopInterval = 0.1;      // a wish to stop is seen at least so often
constexpr double kProgressInterval = 0.2;  // between reports of progress

void check_options(const LiveOptions& options) {
  const auto require = [](bool good, const char* what, double found) {
    if (!good)
      throw Error(ErrorCode::bad_usage, fmt::format("{}: found {}, expected 0 or more", what, found));
  };
  check_goal(options);
  require(std::isfinite(options.duration_s) && options.duration_s >= 0, "duration in seconds",
          options.duration_s);
  require(options.max_frames >= 0, "number of frames", static_cast<double>(options.max_frames));
  require(options.warmup >= 0, "warm-up inferences", options.warmup);
}

class LiveLoop {
 public:
  LiveLoop(const ManagedParts& parts, FrameSource& frames, const LiveOptions& options, const RecordSink& sink,
           Job& job)
      : frames_(frames),
        options_(options),
        sink_(sink),
        job_(job),
        managed_(parts, options, options.move_frequencies, job),
        summary_(parts.costs, parts.policy.name(), options.target_s, options.probability) {}

  RunSummary run() {
    managed_.warm_up(options_.warmup);
    job_.begin("running", options_.duration_s);
    std::optional<Frame> frame = frames_.next();
    managed_.start();
    std::int64_t index = 0;
    bool stopped = false;
    for (; frame && !(stopped = job_.stop_requested()); ++index, frame = frames_.next()) {
      const double scheduled_s = fixed_rate() ? static_cast<double>(index) * options_.period_s : now();
      if (options_.duration_s > 0 && scheduled_s >= options_.duration_s) break;
      if (options_.max_frames > 0 && index >= options_.max_frames) break;
      LiveRecord record;
      record.index = index;
      record.scheduled_s = scheduled_s;
      record.target_s = options_.target_s;
      record.label = frame->label;
      managed_.poll();
      if (fixed_rate() && options_.overrun == Overrun::skip && now() - scheduled_s >= options_.period_s) {
        managed_.skip(record);
        summary_.add(record, 0);
      } else if (wait_until(scheduled_s)) {
        const double undisturbed_s = managed_.infer(frame->image, record);
        summary_.add(record, (record.done_s - record.start_s) / undisturbed_s);
      } else {
        stopped = true;
        break;
      }
      if (sink_) sink_(record);
      report(scheduled_s);
    }
    job_.end();
    summary_.finish(now(), stopped);
    return std::move(summary_);
  }

 private:
  [[nodiscard]] bool fixed_rate() const noexcept { return options_.period_s > 0; }
  [[nodiscard]] double now() const noexcept { return managed_.now_s(); }

  // False when a stop was asked for meanwhile.
  [[nodiscard]] bool wait_until(double time_s) {
    while (now() < time_s) {
      if (job_.stop_requested()) return false;
      managed_.sleep_until(std::min(time_s, now() + kStopInterval));
    }
    return true;
  }

  void report(double at_s) {
    if (at_s < reported_s_ + kProgressInterval) return;
    reported_s_ = at_s;
    const double met = summary_.met_share().value_or(0);
    job_.advance(at_s, fmt::format("level {}, {} of deadlines met", managed_.level(), format_percent(met)));
  }

  FrameSource& frames_;
  const LiveOptions& options_;
  const RecordSink& sink_;
  Job& job_;
  ManagedInference managed_;
  RunSummary summary_;
  double reported_s_ = 0;
};

}  // namespace

RunSummary run_live(const ManagedParts& parts, FrameSource& frames, const LiveOptions& options,
                    const RecordSink& sink, Job& job) {
  check_options(options);
  return LiveLoop(parts, frames, options, sink, job).run();
}

}  // namespace dsn

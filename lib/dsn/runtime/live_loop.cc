// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/live_loop.h"

#include <algorithm>
#include <utility>

namespace dsn {

LiveLoop::LiveLoop(std::size_t app, const LiveApp& live, LiveManager& manager, const LiveInputs& inputs,
                   std::string threads_named, Job& job)
    : app_(app),
      live_(live),
      manager_(manager),
      inputs_(inputs),
      job_(job),
      managed_(live.name, live.parts, manager, live.options, job, std::move(threads_named)),
      summary_(live.parts.costs, manager.policy().name(), live.options.target_s, live.options.probability),
      base_s_(live.options.start_s) {}

void LiveLoop::warm_up() {
  managed_.warm_up(options().warmup);
  frame_ = live_.frames.next();
}

double LiveLoop::next_arrival() const noexcept {
  if (fixed_rate()) return base_s_ + static_cast<double>(since_base_) * options().period_s;
  return std::max(now(), base_s_);
}

bool LiveLoop::over(double scheduled_s) const noexcept {
  const AppOptions& o = options();
  return (o.duration_s > 0 && scheduled_s >= o.start_s + o.duration_s) ||
         (o.max_frames > 0 && index_ >= o.max_frames);
}

bool LiveLoop::too_late(double scheduled_s) const noexcept {
  if (!fixed_rate()) return false;
  const double late_s = now() - scheduled_s;
  return (options().overrun == Overrun::skip && late_s >= options().period_s) ||
         (options().overrun == Overrun::abort && late_s >= managed_.goal().target_s);
}

void LiveLoop::run(const AppRecordSink& sink, const Report& report) {
  if (base_s_ <= 0) managed_.set_active(true);
  bool here = base_s_ <= 0;
  for (; frame_; frame_ = live_.frames.next()) {
    manager_.poll();
    take_changes(next_arrival());
    if ((stopped_ = job_.stop_requested() || !pass_pause())) break;
    double scheduled_s = next_arrival();
    if (over(scheduled_s)) break;
    if (!here) {
      if ((stopped_ = !wait_until(base_s_))) break;
      managed_.set_active(true);
      here = true;
    }
    const bool dropped = too_late(scheduled_s);
    if (!dropped && (stopped_ = !wait_until(scheduled_s))) break;
    take_changes(scheduled_s);
    if (paused_) {  // while this one was waited for
      if ((stopped_ = !pass_pause())) break;
      scheduled_s = next_arrival();
      if (over(scheduled_s)) break;
    }
    LiveRecord record;
    record.index = index_++;
    ++since_base_;
    record.scheduled_s = scheduled_s;
    record.target_s = managed_.goal().target_s;
    record.label = frame_->label;
    if (dropped) {
      managed_.skip(record);
      summary_.add(record, 0);
    } else {
      const double abort_s =
          options().overrun == Overrun::abort ? scheduled_s + record.target_s : ManagedInference::kNever;
      const double undisturbed_s = managed_.infer(frame_->image, record, abort_s);
      summary_.add(record, (record.done_s - record.start_s) / undisturbed_s);
    }
    progress_.level.store(managed_.level(), std::memory_order_relaxed);
    progress_.met_share.store(summary_.met_share().value_or(1), std::memory_order_relaxed);
    if (sink) sink(app_, record);
    report(scheduled_s);
  }
}

void LiveLoop::leave(bool failed) noexcept {
  managed_.set_active(false, false, failed);
  summary_.finish(now(), stopped_);
}

// False when a stop was asked for meanwhile.
bool LiveLoop::wait_until(double time_s) {
  while (now() < time_s) {
    if (job_.stop_requested()) return false;
    manager_.sleep_until(std::min(time_s, now() + inputs_.look_s));
  }
  return true;
}

void LiveLoop::take_changes(double at_s) {
  if (inputs_.schedule != nullptr) {
    const std::vector<GoalEvent>& events = inputs_.schedule->events[app_];
    for (; event_ < events.size() && events[event_].at_s <= at_s; ++event_) change(events[event_].change);
  }
  if (inputs_.changes == nullptr) return;
  if (const GoalChange posted = inputs_.changes->take(app_); posted.any()) change(posted);
}

void LiveLoop::change(const GoalChange& change) {
  Goal goal = managed_.goal();
  goal.target_s = change.target_s.value_or(goal.target_s);
  goal.min_accuracy = change.min_accuracy.value_or(goal.min_accuracy);
  goal.priority = change.priority.value_or(goal.priority);
  managed_.set_goal(goal);
  paused_ = change.paused.value_or(paused_);
}

// Arrivals of a pause never were; the schedule begins anew at its end. False when the run stops meanwhile.
bool LiveLoop::pass_pause() {
  if (!paused_) return true;
  managed_.set_active(false, true);
  while (paused_ && !over(std::max(now(), options().start_s))) {
    if (job_.stop_requested()) return false;
    manager_.sleep_until(now() + inputs_.look_s);
    take_changes(now());
  }
  base_s_ = std::max(now(), options().start_s);
  since_base_ = 0;
  managed_.set_active(true);
  return true;
}

}  // namespace dsn

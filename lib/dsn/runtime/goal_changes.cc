// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/goal_changes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "dsn/core/error.h"

namespace dsn {
namespace {

bool positive(const std::optional<double>& value) noexcept {
  return !value || (std::isfinite(*value) && *value > 0);
}

bool fraction(const std::optional<double>& value) noexcept {
  return !value || (*value >= 0 && *value <= 1);
}

bool sound(const GoalChange& change) noexcept {
  return positive(change.target_s) && fraction(change.min_accuracy);
}

std::optional<double> take_number(std::atomic<double>& box) noexcept {
  const double value = box.exchange(std::numeric_limits<double>::quiet_NaN());
  return std::isnan(value) ? std::nullopt : std::optional(value);
}

}  // namespace

void check_change(const GoalChange& change) {
  const auto require = [](bool good, const char* what, const std::optional<double>& found,
                          const char* expected) {
    if (!good)
      throw Error(ErrorCode::bad_usage, fmt::format("{}: found {}, expected {}", what, *found, expected));
  };
  require(positive(change.target_s), "latency target in seconds", change.target_s, "more than 0");
  require(fraction(change.min_accuracy), "accuracy floor", change.min_accuracy, "0 to 1");
}

GoalChanges::GoalChanges(std::vector<std::string> apps)
    : names_(std::move(apps)), boxes_(std::make_unique<Mailbox[]>(names_.size())) {}

std::size_t GoalChanges::index(std::string_view app) const {
  const auto found = std::find(names_.begin(), names_.end(), app);
  if (found != names_.end()) return static_cast<std::size_t>(found - names_.begin());
  throw Error(ErrorCode::not_found,
              fmt::format("no application \"{}\"; this run has {}", app, fmt::join(names_, ", ")));
}

void GoalChanges::post(std::string_view app, const GoalChange& change) {
  const std::size_t at = index(app);
  check_change(change);
  (void)post(at, change);
}

void GoalChanges::set_target(std::string_view app, double target_s) {
  post(app, {.target_s = target_s});
}
void GoalChanges::set_min_accuracy(std::string_view app, double accuracy) {
  post(app, {.min_accuracy = accuracy});
}
void GoalChanges::set_priority(std::string_view app, int priority) {
  post(app, {.priority = priority});
}
void GoalChanges::pause(std::string_view app, bool paused) {
  post(app, {.paused = paused});
}

bool GoalChanges::post(std::size_t app, const GoalChange& change) noexcept {
  if (app >= names_.size() || !sound(change)) return false;
  Mailbox& box = boxes_[app];
  if (change.target_s) box.target_s.store(*change.target_s);
  if (change.min_accuracy) box.min_accuracy.store(*change.min_accuracy);
  if (change.priority) box.priority.store(*change.priority);
  if (change.paused) box.paused.store(*change.paused ? 1 : 0);
  box.any.store(true);  // last: who sees it sees the values
  return true;
}

GoalChange GoalChanges::take(std::size_t app) noexcept {
  GoalChange change;
  Mailbox& box = boxes_[app];
  if (!box.any.load(std::memory_order_relaxed) || !box.any.exchange(false)) return change;
  change.target_s = take_number(box.target_s);
  change.min_accuracy = take_number(box.min_accuracy);
  if (const int priority = box.priority.exchange(kNoPriority); priority != kNoPriority)
    change.priority = priority;
  if (const int paused = box.paused.exchange(-1); paused >= 0) change.paused = paused != 0;
  return change;
}

}  // namespace dsn

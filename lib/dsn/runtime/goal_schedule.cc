// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/goal_schedule.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

namespace dsn {
namespace {

constexpr double kMostSeconds = 1e9;

GoalChange read_change(const JsonView& set) {
  set.only_keys({"task", "target_s", "min_accuracy", "priority", "paused"});
  GoalChange change;
  if (set.has("target_s"))
    change.target_s = set["target_s"].number(std::numeric_limits<double>::min(), kMostSeconds);
  if (set.has("min_accuracy")) change.min_accuracy = set["min_accuracy"].number(0, 1);
  if (set.has("priority")) change.priority = static_cast<int>(set["priority"].integer(-1000, 1000));
  if (set.has("paused")) change.paused = set["paused"].boolean();
  if (!change.any()) set.fail("target_s, min_accuracy, priority or paused");
  return change;
}

}  // namespace

GoalSchedule GoalSchedule::load(const fs::path& path, std::span<const std::string> apps) {
  return parse(read_document(path, "dsn.schedule"), path.string(), apps);
}

GoalSchedule GoalSchedule::parse(const Json& document, const std::string& file,
                                 std::span<const std::string> apps) {
  const JsonView view(document, file);
  view.only_keys({"schema", "schema_version", "notes", "events"});
  GoalSchedule schedule;
  schedule.events.resize(apps.size());
  const JsonView events = view["events"];
  double before_s = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const JsonView event = events[i];
    event.only_keys({"at_s", "set"});
    const double at_s = event["at_s"].number(0, kMostSeconds);
    if (at_s < before_s) event["at_s"].fail(fmt::format("{} or later: events are in time order", before_s));
    before_s = at_s;
    const JsonView set = event["set"];
    const auto app = std::find(apps.begin(), apps.end(), set["task"].text());
    if (app == apps.end()) set["task"].fail(fmt::format("one of {}", fmt::join(apps, ", ")));
    schedule.events[static_cast<std::size_t>(app - apps.begin())].push_back({at_s, read_change(set)});
  }
  return schedule;
}

}  // namespace dsn

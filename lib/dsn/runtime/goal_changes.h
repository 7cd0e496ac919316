// SPDX-License-Identifier: Apache-2.0
// Goals that change while applications run: from a control socket, a schedule, a signal handler.
//
// A mailbox per application and value, not a list: the last value written is what the run takes up before the
// application's next inference, and a flood of changes needs no memory.
#pragma once

#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dsn {

struct GoalChange {
  std::optional<double> target_s, min_accuracy;
  std::optional<int> priority;  // Goal::priority
  std::optional<bool> paused;
  [[nodiscard]] bool any() const noexcept { return target_s || min_accuracy || priority || paused; }
};

// Throws Error{bad_usage} naming the value that makes no sense: a target that is not finite and above 0, an
// accuracy outside 0..1.
void check_change(const GoalChange& change);

class GoalChanges {
 public:
  // Names in the order of the run's applications, no two alike.
  explicit GoalChanges(std::vector<std::string> apps);

  [[nodiscard]] std::span<const std::string> names() const noexcept { return names_; }
  // Throws Error{not_found} naming the applications there are.
  [[nodiscard]] std::size_t index(std::string_view app) const;

  // thread-safe. Throw Error{not_found | bad_usage} and change nothing then. A target that no level can meet
  // is taken: the manager degrades in its declared order, and says so.
  void post(std::string_view app, const GoalChange& change);
  void set_target(std::string_view app, double target_s);
  void set_min_accuracy(std::string_view app, double accuracy);
  void set_priority(std::string_view app, int priority);
  void pause(std::string_view app, bool paused);

  // The same for a signal handler: async-signal-safe and thread-safe. False, and nothing changed, where the
  // above would throw.
  bool post(std::size_t app, const GoalChange& change) noexcept;

  // By the run, between inferences: what is new since the last call. Neither locks nor allocates.
  [[nodiscard]] GoalChange take(std::size_t app) noexcept;

 private:
  static constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  static constexpr int kNoPriority = std::numeric_limits<int>::min();
  struct Mailbox {
    std::atomic<double> target_s{kNothing}, min_accuracy{kNothing};
    std::atomic<int> priority{kNoPriority}, paused{-1};
    std::atomic<bool> any{false};
  };
  static_assert(std::atomic<double>::is_always_lock_free, "a signal handler writes them");

  std::vector<std::string> names_;
  std::unique_ptr<Mailbox[]> boxes_;
};

}  // namespace dsn

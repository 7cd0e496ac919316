// SPDX-License-Identifier: Apache-2.0
// Simulated time for several threads: it passes only while all that live by it sleep, and then as far as the
// first of them wants. Hours take seconds.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "dsn/engine/executor.h"
#include "dsn/runtime/clock.h"

namespace dsn::fakes {

// thread-safe.
class SimClock final : public Clock {
 public:
  double now_s() noexcept override {
    const std::lock_guard lock(mutex_);
    return now_s_;
  }
  void sleep_until(double time_s) noexcept override {
    std::unique_lock lock(mutex_);
    if (time_s <= now_s_) return;
    wakes_.insert(time_s);
    advance();
    changed_.wait(lock, [&] { return now_s_ >= time_s; });
  }
  void enter() noexcept override {
    const std::lock_guard lock(mutex_);
    ++members_;
  }
  void leave() noexcept override {
    const std::lock_guard lock(mutex_);
    --members_;
    advance();
  }

 private:
  // As after any sleep; and differences of times are not below what was slept for by a rounding error.
  static constexpr double kWakeDelay = 1e-9;
  void advance() noexcept {
    if (wakes_.empty() || wakes_.size() < members_) return;
    now_s_ = *wakes_.begin() + kWakeDelay;
    while (!wakes_.empty() && *wakes_.begin() <= now_s_) wakes_.erase(wakes_.begin());
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multiset<double> wakes_;
  std::size_t members_ = 0;
  double now_s_ = 0;
};

// Levels that take their time from a clock, times `slower(now)`, in ten units. Answers with class 1.
class SimExecutor final : public Executor {
 public:
  SimExecutor(Clock& clock, std::vector<double> work_s) : clock_(clock), work_s_(std::move(work_s)) {}
  std::function<double(double now_s)> slower = [](double) { return 1.0; };
  std::function<void(long inference)> before = [](long) {};  // may throw
  long inferences = 0;
  int threads = 0;

  [[nodiscard]] std::string_view name() const noexcept override { return "fake"; }
  void prepare(std::vector<LevelSpec> /*levels*/) override {}
  void activate(std::size_t index) override { active_ = index; }
  [[nodiscard]] const Network& network() const override {
    static const Network network = [] {
      Network made;
      made.resolution = 4;
      made.in_channels = 1;
      made.classes = 3;
      return made;
    }();
    return network;
  }
  [[nodiscard]] MemoryUse memory() const override { return {}; }
  void set_threads(int count) override { threads = count; }
  void infer(std::span<const float> /*input*/, int /*batch*/, std::span<float> logits,
             const UnitObserver* observer) override {
    before(inferences);
    const double work_s = work_s_[active_] * slower(clock_.now_s());
    constexpr std::size_t kUnits = 10;
    for (std::size_t unit = 0; unit < (observer != nullptr ? kUnits : 1); ++unit) {
      clock_.sleep_until(clock_.now_s() + (observer != nullptr ? work_s / kUnits : work_s));
      if (observer != nullptr) (*observer)(unit);
    }
    std::fill(logits.begin(), logits.end(), 0.F);
    logits[1] = 1;
    ++inferences;
  }

 private:
  Clock& clock_;
  std::vector<double> work_s_;
  std::size_t active_ = 0;
};

}  // namespace dsn::fakes

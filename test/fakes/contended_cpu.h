// SPDX-License-Identifier: Apache-2.0
// A CPU core shared with a hog, in simulated time, and a clock and executor that live on it.
//
// The scheduler is a fair one reduced to what matters to a periodic task (compare Linux's EEVDF and its
// predecessor): each side's received time is kept, as what we are owed. A task that wakes is owed at most a
// bonus, and runs at once if it is owed enough; otherwise it waits for a tick at which it is owed something.
// While it runs, a tick at which it is owed nothing gives the core to the hog. So work that fits into half
// the core runs as if alone, and what does not is stopped for whole ticks.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "dsn/core/random.h"
#include "dsn/engine/executor.h"
#include "dsn/runtime/clock.h"

namespace dsn::fakes {

class ContendedCpu {
 public:
  struct Phase {
    double from_s = 0;
    bool hog = false;
    double slower = 1;  // factor on all work: memory contention, a lower clock
  };

  explicit ContendedCpu(std::vector<Phase> phases = {}, std::uint64_t seed = 1)
      : phases_(std::move(phases)), rng_(Rng::stream(seed, "contended cpu")) {}

  double jitter = 0.01;  // relative, of each piece of work
  double accident = 0;   // probability that a piece of work is stopped for a tick for no reason of ours
  struct Stall {
    double at_s = 0, for_s = 0;
  };
  std::vector<Stall> stalls;  // ascending: the whole machine stands still, as a virtual one does now and then
  static constexpr double kTick = 4e-3, kBonus = 3e-3, kWakeUp = 1e-3, kWakeDelay = 60e-6;

  [[nodiscard]] double now_s() const noexcept { return now_s_; }
  [[nodiscard]] const Phase& phase() const noexcept {
    static const Phase idle;
    const Phase* found = &idle;
    for (const Phase& next : phases_)
      if (next.from_s <= now_s_) found = &next;
    return *found;
  }

  void sleep_until(double time_s) noexcept {
    if (time_s <= now_s_) return;
    owed_s_ = std::min(owed_s_ + (time_s - now_s_), kBonus);
    now_s_ = time_s + kWakeDelay;
    if (!phase().hog) {
      owed_s_ = 0;
      return;
    }
    if (owed_s_ < kWakeUp) wait_for_turn();
  }

  void run(double work_s) noexcept {
    double left_s = work_s * phase().slower * std::max(0.5, 1 + jitter * rng_.normal());
    if (rng_.uniform() < accident) now_s_ += kTick;
    if (stalled_ < stalls.size() && now_s_ >= stalls[stalled_].at_s) now_s_ += stalls[stalled_++].for_s;
    while (left_s > 0) {
      if (!phase().hog) {
        owed_s_ = 0;
        now_s_ += left_s;
        return;
      }
      const double part_s = std::min(left_s, next_tick() - now_s_);
      now_s_ += part_s;
      owed_s_ -= part_s;
      left_s -= part_s;
      if (left_s > 0 && owed_s_ < 0) wait_for_turn();
    }
  }

 private:
  [[nodiscard]] double next_tick() const noexcept { return (std::floor(now_s_ / kTick + 1e-9) + 1) * kTick; }
  void wait_for_turn() noexcept {
    do {
      const double tick_s = next_tick();
      owed_s_ += tick_s - now_s_;
      now_s_ = tick_s;
    } while (owed_s_ <= 0 && phase().hog);
  }

  std::vector<Phase> phases_;
  Rng rng_;
  double now_s_ = 0, owed_s_ = 0;
  std::size_t stalled_ = 0;  // of stalls, those that are over
};

class CpuClock final : public Clock {
 public:
  explicit CpuClock(ContendedCpu& cpu) : cpu_(cpu) {}
  double now_s() noexcept override { return cpu_.now_s(); }
  void sleep_until(double time_s) noexcept override { cpu_.sleep_until(time_s); }

 private:
  ContendedCpu& cpu_;
};

// Levels that take their time from the CPU; `threads` divide it. Answers with the class `answer`.
class CpuExecutor final : public Executor {
 public:
  CpuExecutor(ContendedCpu& cpu, std::vector<double> work_s) : cpu_(cpu), work_s_(std::move(work_s)) {
    for (std::size_t i = 0; i < work_s_.size(); ++i) {
      Network network;
      network.resolution = 4 + static_cast<int>(i);
      network.in_channels = 1;
      network.classes = 3;
      networks_.push_back(network);
    }
  }
  int answer = 1;
  int inferences = 0;
  [[nodiscard]] std::string_view name() const noexcept override { return "fake"; }
  void prepare(std::vector<LevelSpec> /*levels*/) override {}
  void activate(std::size_t index) override { active_ = index; }
  [[nodiscard]] const Network& network() const override { return networks_.at(active_); }
  [[nodiscard]] MemoryUse memory() const override { return {}; }
  void set_threads(int threads) override { threads_ = threads; }
  void infer(std::span<const float> /*input*/, int /*batch*/, std::span<float> logits,
             const UnitObserver* /*observer*/) override {
    cpu_.run(work_s_[active_] / threads_);
    std::fill(logits.begin(), logits.end(), 0.F);
    logits[static_cast<std::size_t>(answer)] = 1;
    ++inferences;
  }

 private:
  ContendedCpu& cpu_;
  std::vector<double> work_s_;
  std::vector<Network> networks_;
  std::size_t active_ = 0;
  int threads_ = 1;
};

}  // namespace dsn::fakes

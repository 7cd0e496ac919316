// SPDX-License-Identifier: Apache-2.0
// An Executor that computes nothing and takes its time from a clock of its own: each unit lasts what a
// callback says.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/engine/executor.h"

namespace dsn::fakes {

// Seconds that only move when somebody works.
struct FakeClock {
  double now_s = 1000;
  [[nodiscard]] std::function<double()> reader() {
    return [this] { return now_s; };
  }
};

class FakeExecutor : public Executor {
 public:
  FakeExecutor(SearchSpace space, FakeClock& clock) : space_(std::move(space)), clock_(clock) {}

  // Duration of a unit, seconds, and of what an inference does outside its units. Replace at will.
  std::function<double(const Unit&, int threads, int batch)> unit_s = [](const Unit& unit, int threads,
                                                                         int batch) {
    return 5e-6 + static_cast<double>(unit.macs()) * batch * 1e-9 / threads;
  };
  std::function<double()> overhead_s = [] { return 0.0; };
  // Fills the logits of one inference of level `level`; zeros by default.
  std::function<void(std::size_t level, std::span<float> logits)> fill =
      [](std::size_t, std::span<float> logits) { std::fill(logits.begin(), logits.end(), 0.0F); };
  bool reports_units = true;  // false: ignores the observer

  // What happened.
  std::vector<std::size_t> activations;
  int prepares = 0, inferences = 0, observed = 0;

  [[nodiscard]] std::string_view name() const noexcept override { return "fake"; }

  void prepare(std::vector<LevelSpec> levels) override {
    networks_.clear();
    for (const LevelSpec& level : levels) networks_.push_back(make_network(space_, level.config));
    ++prepares;
  }

  void activate(std::size_t index) override {
    active_ = index;
    (void)network();
    activations.push_back(index);
  }

  [[nodiscard]] const Network& network() const override {
    if (active_ >= networks_.size())
      throw Error(ErrorCode::bad_usage, fmt::format("level {} is not prepared", active_));
    return networks_[active_];
  }

  [[nodiscard]] MemoryUse memory() const override { return {}; }
  void set_threads(int threads) override { threads_ = threads; }
  [[nodiscard]] int threads() const noexcept { return threads_; }

  void infer(std::span<const float> input, int batch, std::span<float> logits,
             const UnitObserver* observer) override {
    const Network& active = network();
    const auto pixels =
        static_cast<std::size_t>(active.resolution) * static_cast<std::size_t>(active.resolution);
    const auto images = static_cast<std::size_t>(batch);
    if (input.size() != images * static_cast<std::size_t>(active.in_channels) * pixels ||
        logits.size() != images * static_cast<std::size_t>(active.classes)) {
      throw Error(ErrorCode::bad_usage, "input or logits of the wrong size");
    }
    for (std::size_t i = 0; i < active.units.size(); ++i) {
      clock_.now_s += unit_s(active.units[i], threads_, batch);
      if (observer != nullptr && reports_units) (*observer)(i);
    }
    clock_.now_s += overhead_s();
    fill(active_, logits);
    ++inferences;
    observed += observer != nullptr ? 1 : 0;
  }

 private:
  SearchSpace space_;
  FakeClock& clock_;
  std::vector<Network> networks_;
  std::size_t active_ = 0;
  int threads_ = 1;
};

}  // namespace dsn::fakes

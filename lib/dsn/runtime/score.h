// SPDX-License-Identifier: Apache-2.0
// How the platform manager compares what applications would get: violated goals first, in the order in which
// they may give way, then the objective. Lexicographic, so that no amount of one makes up for another.
//
// No allocation; everything is noexcept. thread-compatible.
#pragma once

#include <array>
#include <cstddef>

#include "dsn/runtime/policy.h"

namespace dsn {

enum class Objective { max_accuracy, min_energy, min_latency };

// One application at one setting.
struct Offer {
  int level = 0;
  double lateness = 0, shortfall = 0, excess = 0;  // of target, accuracy floor and energy budget; 0: kept
  double accuracy = 0;
  double power_w = 0;   // above idle; core-seconds per second where energy is not known
  double slowness = 0;  // expected latency over target
  double cores = 0;     // kept busy
  [[nodiscard]] bool keeps_all() const noexcept { return lateness <= 0 && shortfall <= 0 && excess <= 0; }
};

// Smaller is better, first entries first; without violations only the objective counts.
struct Score {
  // Different priorities beyond this many count as the lowest of them.
  static constexpr std::size_t kRanks = 4;
  bool violated = false;
  std::array<double, 1 + 3 * kRanks> violations{};  // the power cap, then by rank and precedence
  std::array<double, 3> objective{};
  void add(const Score& other) noexcept;
  void violate(std::size_t at, double amount) noexcept {
    if (amount <= 0) return;
    violated = true;
    violations[at] += amount;
  }
};
// Differences in the last digits are none.
[[nodiscard]] bool better(const Score& a, const Score& b) noexcept;

// What decides between scores in one decision.
class Judge {
 public:
  explicit Judge(Objective objective) noexcept : objective_(objective) {}

  // Takes up priorities and precedence.
  void begin(const SystemView& view) noexcept;
  // Adds what `app` gets to a score.
  void add(Score& score, std::size_t app, const Offer& offer) const noexcept;
  void add_power(Score& score, double power_w) const noexcept { score.objective[power_at()] += power_w; }
  void add_lateness(Score& score, std::size_t app, double lateness) const noexcept {
    score.violate(at(app, Criterion::latency), lateness);
  }
  // What the offer adds to the first entry of Score::objective.
  [[nodiscard]] double first_objective(const Offer& offer) const noexcept {
    return objective_ == Objective::max_accuracy ? -offer.accuracy
           : objective_ == Objective::min_energy ? offer.power_w
                                                 : offer.slowness;
  }
  // One application's offers against each other.
  [[nodiscard]] bool better(const Offer& a, const Offer& b) const noexcept;
  // Neither violates anything; cheaper than better().
  [[nodiscard]] bool better_clean(const Offer& a, const Offer& b) const noexcept;

  [[nodiscard]] Objective objective() const noexcept { return objective_; }
  // `first` is kept longer than `second`.
  [[nodiscard]] bool before(Criterion first, Criterion second) const noexcept {
    return position_[static_cast<std::size_t>(first)] < position_[static_cast<std::size_t>(second)];
  }
  // 0: the highest priority.
  [[nodiscard]] std::size_t rank(std::size_t app) const noexcept { return rank_[app]; }
  // Position of power in Score::objective.
  [[nodiscard]] std::size_t power_at() const noexcept { return objective_ == Objective::min_energy ? 0 : 1; }

 private:
  [[nodiscard]] std::size_t at(std::size_t app, Criterion criterion) const noexcept {
    return 1 + 3 * rank_[app] + position_[static_cast<std::size_t>(criterion)];
  }

  Objective objective_;
  std::array<std::size_t, kMaxApps> rank_{};
  std::array<std::size_t, 3> position_{0, 1, 2};  // of latency, accuracy and energy
};

}  // namespace dsn

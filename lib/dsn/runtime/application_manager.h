// SPDX-License-Identifier: Apache-2.0
// The application level of dsn's manager: watches one application's inferences and says which of its settings
// may be chosen now.
//
// A setting is (level, placement, OPP). Against the present one it is the same, easier (less undisturbed
// latency, and no more core-seconds) or harder. What is asked of it depends on that:
//   easier  the slowdown predicts that it keeps the target
//   same    it has not missed, and what was measured on it keeps the target
//   harder  predicted too, with the tail measured so far (which can only grow); below the ceiling of the
//           evidence; at most one level up, unless load has just gone; after a dwell time; and within the
//           budget for trying
// A missed deadline makes the present setting inadmissible at once. A miss soon after a step up backs off,
// doubling, and is paid from the budget, which earns a part of the misses that the asked probability allows:
// that bounds what climbing can cost, whatever the load does.
//
// Every member is noexcept and allocates nothing. thread-bound.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dsn/runtime/load_memory.h"
#include "dsn/runtime/policy.h"
#include "dsn/runtime/slowdown.h"

namespace dsn {

struct Setting {
  int level = -1, placement = 0, opp = 0;
  friend bool operator==(const Setting&, const Setting&) = default;
};

struct ManagerOptions {
  static constexpr int kAnyLevel = -1, kLastLevel = 1 << 20;
  int level = kAnyLevel;     // the only one that may run
  double dwell_s = 0.1;      // between voluntary changes,
  int dwell_inferences = 8;  // and as many inferences
  double probe_share = 0.3;  // of the misses that the target's probability allows, for trying harder settings
  double budget_most = 2;    // misses saved up
  SlowdownOptions slowdown;
  EvidenceOptions evidence;
};

class ApplicationManager {
 public:
  explicit ApplicationManager(const ManagerOptions& options = {}) noexcept;

  void observe(const AppView& app, std::span<const ClusterView> clusters, const Completion& done) noexcept;

  // Takes up the application's state before a decision; the members below refer to it.
  void begin(const AppView& app, std::span<const ClusterView> clusters, double now_s) noexcept;

  // 0: the setting may be chosen and is expected to keep target and rate. Above 0: it may not; the value is
  // its predicted latency over the target (or over the period, if that is worse), to order what is left when
  // nothing may be chosen.
  [[nodiscard]] double lateness(const Setting& setting) const noexcept;
  // The same question, asked for a setting of known demand (undisturbed latency): may it be chosen?
  [[nodiscard]] bool open(int level, int placement, double demand_s) const noexcept {
    const Gate& gate = gates_[static_cast<std::size_t>(placement)];
    const bool floor = demand_s <= floor_s_;
    if (!floor && demand_s >= gate.ceiling_s) return false;
    if (demand_s <= gate.easier_s) return demand_s <= gate.easier_limit_s;
    if (demand_s <= gate.same_s) return demand_s <= (floor ? gate.floor_limit_s : gate.same_limit_s);
    return demand_s <= gate.harder_limit_s && level <= highest_;
  }
  // No setting of more demand may be chosen at a placement.
  [[nodiscard]] double most_s(int placement) const noexcept {
    return gates_[static_cast<std::size_t>(placement)].most_s;
  }
  // Levels that may run at all: the first and one past the last.
  [[nodiscard]] int first_level() const noexcept { return first_level_; }
  [[nodiscard]] int end_level() const noexcept { return end_level_; }
  // Expected latency of a setting, contention included.
  [[nodiscard]] double expected_s(const Setting& setting) const noexcept;
  // The same over the undisturbed latency, at a placement.
  [[nodiscard]] double expected_ratio(int placement) const noexcept {
    return gates_[static_cast<std::size_t>(placement)].expected;
  }
  // Neither time nor inferences since the last change forbid another.
  [[nodiscard]] bool settled() const noexcept;
  // level is -1 before the first commit().
  [[nodiscard]] const Setting& present() const noexcept { return present_; }

  void commit(const Setting& setting) noexcept;
  // An inference starts, `waited_s` after its scheduled arrival. The level to run it with, at the present
  // placement and OPP: the present one if that still makes its deadline, else the most accurate that does,
  // else the fastest.
  [[nodiscard]] int start(double waited_s) noexcept;

  [[nodiscard]] double slowdown() const noexcept;
  // Misses that trying harder settings may still cost now.
  [[nodiscard]] double budget() const noexcept { return budget_; }

 private:
  enum class Step { same, easier, harder };
  // What admits settings at one placement, as bounds on their demand: what lateness() depends on besides.
  struct Gate {
    double easier_s = -1, same_s = 0;  // up to these, a demand is easier than the present one, or the same
    double easier_limit_s = 0, same_limit_s = 0, harder_limit_s = 0;  // what may be chosen of each
    double floor_limit_s = 0;            // and, of the same, where nothing is easier
    double most_s = 0;                   // of all
    double ceiling_s = 0;                // of the evidence
    double expected = 1, predicted = 1;  // latency over demand: its mean, and with the asked probability
  };
  void set_gate(int placement) noexcept;
  [[nodiscard]] Step step_to(const Setting& setting) const noexcept;
  [[nodiscard]] double demand_s(const Setting& setting) const noexcept {
    return app_.costs->latency(setting.level, setting.placement, setting.opp);
  }
  [[nodiscard]] std::size_t cluster_of(int placement) const noexcept;
  [[nodiscard]] bool at_floor(const Setting& setting) const noexcept;
  void follow_load() noexcept;
  void machine_changed(int direction) noexcept;
  void take_up(const AppView& app, std::span<const ClusterView> clusters) noexcept;
  [[nodiscard]] bool inherited(const Completion& done) noexcept;
  void note_stall(double own_s) noexcept;
  [[nodiscard]] int probation() const noexcept;
  void missed(bool inherited) noexcept;
  void kept() noexcept;

  ManagerOptions options_;
  AppView app_;
  double now_s_ = 0;
  double p_ = 0.99, quantile_ = 2.326;  // asked probability, and the normal distribution's quantile of it
  double fastest_s_ = 0;                // least demand of all settings that there are
  std::array<double, kMaxClusters> others_load_{};

  std::array<SlowdownEstimator, kMaxClusters> slowdown_;  // per cluster: contention differs between them
  std::array<double, kMaxClusters> tail_s_{};
  std::array<bool, kMaxClusters> tail_stale_{};
  LoadMemory memory_;
  double evidence_target_s_ = 0;  // that the evidence is about
  std::array<Gate, kMaxPlacements> gates_{};
  double floor_s_ = 0;  // up to this demand, nothing is easier
  int highest_ = 0;     // level that a harder setting may have
  int first_level_ = 0, end_level_ = 0;

  Setting present_;
  Setting running_;             // of the inference under way: a commit() for the next may come before it ends
  double since_s_ = 0;          // last change
  int inferences_since_ = 0;    //
  bool fresh_ = true;           // nothing is known about the target: go where the prediction says
  bool must_ease_ = false;      // the present setting missed
  double ease_to_ = 1;          // part of its demand that what follows may have at most
  bool leap_ = false;           // load has gone: up to where the prediction says, not one level only
  int since_change_ = 1 << 20;  // inferences since the machine became faster or slower
  double ratio_ = 1, missed_ratio_ = 1;  // measured over undisturbed latency: of the last, of the last missed
  int probation_ = 0;                    // inferences left in which a miss speaks against the last step up
  bool failing_ = false;                 // a failed climb is not over: what queued behind it is late too
  double budget_ = 0;
  double floor_misses_ = 0;   // rate of misses that no setting would have prevented
  double rescued_ = 0;        // share of late starts, which run a faster level, since the last change
  double forgiven_s_ = -1e9;  // when failures were last forgotten because the machine had become faster
  bool stalled_ = false;      // what ends now queued behind a moment in which the machine stood still
  std::int64_t since_stall_ = 1 << 20;  // inferences since the last such moment
  double last_done_s_ = -1;
  double chain_s_ = 0;  // when the last inference that had not to wait for another was scheduled
};

}  // namespace dsn

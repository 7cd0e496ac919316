// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/application_manager.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dsn {
namespace {

constexpr double kSameDemand = 0.02;    // demands closer than this are one
constexpr double kEaseTo = 0.9;         // what follows a miss has at most this part of the demand
constexpr double kRateMargin = 0.95;    // of a period may be spent computing: more, and a queue never empties
constexpr double kTargetChange = 0.02;  // beyond it, what was kept or missed says nothing any more
constexpr double kStartMargin = 1.05;   // on the expected latency of an inference that starts late
constexpr double kFloorMissWeight = 0.003;  // of one inference in their share: about the last three hundred
constexpr double kBlameless = 0.1;          // misses that a step up may meet by chance while it is watched
constexpr double kEaseFaster = 0.7;         // a miss soon after easing: more at once
constexpr double kEaseMost = 0.4;
constexpr double kLoaded = LoadMemory::kLoaded;
constexpr int kSharpen = 3;  // inferences after a change of the machine until its new state is known
constexpr double kSameRatio = 0.1;
constexpr double kCatchUp =
    0.25;  // of the target may be spent waiting before a queue is drained at the fastest level
constexpr double kRescueWeight = 1.0 / 32;  // of one inference in the share that starts late
constexpr double kRescueMost = 0.2;  // of them: more, and the next lower level would do better all the time
constexpr double kLeastBudget = -1;  // a failed climb may cost several misses, but not the next minute
constexpr double kLeastEarning =
    0.1;  // of the misses allowed, whatever the floor misses: never stuck for ever

}  // namespace

ApplicationManager::ApplicationManager(const ManagerOptions& options) noexcept
    : options_(options), memory_(options.evidence), budget_(options.budget_most) {
  slowdown_.fill(SlowdownEstimator(options.slowdown));
  others_load_.fill(-1);
}

std::size_t ApplicationManager::cluster_of(int placement) const noexcept {
  return static_cast<std::size_t>(app_.costs->placements()[static_cast<std::size_t>(placement)].cluster);
}

// Nothing is easier: a miss there was nobody's choice.
bool ApplicationManager::at_floor(const Setting& setting) const noexcept {
  return demand_s(setting) * kEaseTo < fastest_s_;
}

void ApplicationManager::take_up(const AppView& app, std::span<const ClusterView> clusters) noexcept {
  const bool same_model = app.costs == app_.costs;
  if (!same_model || app.probability != app_.probability) {
    p_ = std::clamp(app.probability, 0.5, 0.9999);
    quantile_ = normal_quantile(p_);
    tail_stale_.fill(true);
    const bool one = options_.level != ManagerOptions::kAnyLevel;
    first_level_ = one ? std::min(options_.level, app.costs->levels() - 1) : 0;
    end_level_ = one ? first_level_ + 1 : app.costs->levels();
  }
  app_ = app;
  fastest_s_ = std::numeric_limits<double>::infinity();
  for (std::size_t p = 0; p < app.costs->placements().size(); ++p) {
    const auto placement = static_cast<int>(p);
    const std::size_t c = cluster_of(placement);
    if (c >= clusters.size()) continue;
    others_load_[c] = clusters[c].others_load;
    for (int level = first_level_; level < end_level_; ++level)
      fastest_s_ = std::min(fastest_s_, app.costs->latency(level, placement, clusters[c].max_opp));
  }
  if (!same_model) present_ = running_ = Setting{};
  const double change_s = std::abs(app.target_s - evidence_target_s_);
  if (!same_model || change_s > kTargetChange * evidence_target_s_) {
    evidence_target_s_ = app.target_s;
    memory_.reset(fastest_s_);
    leap_ = false;
    fresh_ = true;
    must_ease_ = failing_ = false;
    probation_ = 0;
  }
}

void ApplicationManager::observe(const AppView& app, std::span<const ClusterView> clusters,
                                 const Completion& done) noexcept {
  if (app.costs == nullptr) return;
  take_up(app, clusters);
  if (done.dropped) {
    now_s_ = std::max(now_s_, done.scheduled_s);
    if (!stalled_) missed(true);
    return;
  }
  now_s_ = done.done_s;
  ++inferences_since_;
  if (running_.level < 0) running_ = {done.level, done.placement, done.opp};
  running_.opp = done.opp;
  ratio_ = (done.done_s - done.start_s) / app.costs->latency(done.level, done.placement, done.opp);
  const bool late = done.done_s - done.scheduled_s > done.target_s;
  const bool blameless = inherited(done);
  if (stalled_ && late) return;
  tail_stale_[cluster_of(done.placement)] = true;
  const int shift = slowdown_[cluster_of(done.placement)].observe(
      done.done_s - done.start_s, app.costs->latency(done.level, done.placement, done.opp),
      app.costs->spread(done.level, done.placement, done.opp));
  ++since_change_;
  if (shift != 0) machine_changed(shift);
  if (at_floor(running_) && !blameless)
    floor_misses_ += kFloorMissWeight * ((late ? 1.0 : 0.0) - floor_misses_);
  const double allowed = 1 - p_;
  budget_ = std::min(
      options_.budget_most,
      budget_ + std::clamp(allowed - floor_misses_, kLeastEarning * allowed, options_.probe_share * allowed));
  if (late) {
    missed(blameless);
  } else {
    kept();
  }
}

// Seen from latencies: every setting is faster or slower than before.
void ApplicationManager::machine_changed(int direction) noexcept {
  since_change_ = 0;
  if (direction > 0) {
    // From here on predictions know; what was missed until then speaks against no demand.
    memory_.withdraw_recent(now_s_);
    leap_ = false;
    return;
  }
  leap_ = true;
  if (now_s_ < forgiven_s_ + options_.evidence.max_backoff_s) return;
  // Load that slowed this level has gone: what failed under it says nothing any more.
  forgiven_s_ = now_s_;
  memory_.evidence().forgive();
  budget_ = std::max(budget_, 1.0);
}

// Seen from a monitor: others' work has come or gone.
void ApplicationManager::follow_load() noexcept {
  if (present_.level < 0) return;
  const std::size_t c = cluster_of(present_.placement);
  const int change = memory_.enter(others_load_[c], now_s_);
  if (change < 0) {
    leap_ = true;
    budget_ = std::max(budget_, 1.0);
    slowdown_[c].forget_tail();
    tail_stale_[c] = true;
  }
  if (change <= 0) return;
  leap_ = false;
  const double held_s = memory_.held_s(present_.placement, now_s_), present_s = demand_s(present_);
  if (held_s <= 0 || held_s >= present_s * (1 - kSameDemand)) return;
  // What held the last time, before misses ask for it.
  must_ease_ = true;
  ease_to_ = held_s / present_s * (1 + kSameDemand / 2);
}

// The machine stood still: for so long that no setting would have been on time. That, and what queued behind
// it, is held against none, as long as it is rarer than half of the misses allowed; more often, it is the
// state of the machine.
void ApplicationManager::note_stall(double own_s) noexcept {
  if (own_s - demand_s(running_) + fastest_s_ <= app_.target_s) {
    ++since_stall_;
    return;
  }
  stalled_ = static_cast<double>(since_stall_) * (1 - p_) > 2;
  since_stall_ = 0;
}

// An inference that had to wait for the one before pays for that one's lateness; but where both ran under the
// present setting, or the queue has had time to drain, it is this setting that does not keep up.
bool ApplicationManager::inherited(const Completion& done) noexcept {
  if (done.scheduled_s >= last_done_s_) {
    chain_s_ = done.scheduled_s;
    stalled_ = false;
  }
  const double own_s = done.done_s - std::max(done.scheduled_s, last_done_s_);
  last_done_s_ = done.done_s;
  note_stall(own_s);
  const bool draining = inferences_since_ <= options_.dwell_inferences;
  return chain_s_ < since_s_ && draining && own_s <= done.target_s;
}

// Inferences after a step up in which a miss speaks against it: as many as keep one miss at the asked
// probability, but not so many that a miss would be likely whatever the setting.
int ApplicationManager::probation() const noexcept {
  const double asked = std::clamp(1 / (1 - p_), 20.0, 200.0);
  return static_cast<int>(std::clamp(kBlameless / std::max(floor_misses_, 1e-6), 10.0, asked));
}

void ApplicationManager::missed(bool inherited) noexcept {
  if (probation_ > 0 || failing_) budget_ = std::max(budget_ - 1, kLeastBudget);
  if (inherited) return;
  const double demand = demand_s(running_);
  memory_.missed(running_.placement, demand, now_s_, others_load_[cluster_of(running_.placement)]);
  if (!(running_.level == present_.level && running_.placement == present_.placement)) return;
  if (probation_ > 0) {
    memory_.evidence().climb_failed(running_.placement, demand, now_s_);
    probation_ = 0;
    failing_ = true;
  }
  if (at_floor(running_)) return;
  must_ease_ = true;
  leap_ = false;
  if (settled()) {
    ease_to_ = kEaseTo;
    missed_ratio_ = ratio_;
    return;
  }
  // A second one: to what is known to hold, if there is such.
  const double held_s = memory_.held_s(running_.placement, now_s_);
  ease_to_ = std::max(ease_to_ * kEaseFaster, kEaseMost);
  // Twice the same factor is no accident but what the machine is now.
  if (std::abs(ratio_ - missed_ratio_) <= kSameRatio * ratio_) {
    const double fits = app_.target_s / (ratio_ * kStartMargin * demand);
    ease_to_ = std::clamp(fits, ease_to_, kEaseTo);
  }
  missed_ratio_ = ratio_;
  if (held_s > 0 && held_s <= demand * kEaseTo)
    ease_to_ = std::max(ease_to_, held_s / demand * (1 + kSameDemand / 2));
  else if (held_s >= demand * (1 - kSameDemand))
    memory_.forget_held();
}

void ApplicationManager::kept() noexcept {
  failing_ = false;
  const double demand = demand_s(running_);
  if (rescued_ > kRescueMost && running_ == present_ && !at_floor(running_)) {
    // On time, but only because every fifth inference runs a faster level.
    memory_.missed(running_.placement, demand, now_s_, others_load_[cluster_of(running_.placement)]);
    memory_.evidence().climb_failed(running_.placement, demand, now_s_);
    must_ease_ = true;
    ease_to_ = kEaseTo;
    return;
  }
  memory_.kept(running_.placement, demand, now_s_, p_, running_ == present_);
  if (probation_ > 0 && --probation_ == 0) memory_.evidence().climb_held(running_.placement, demand, now_s_);
}

void ApplicationManager::begin(const AppView& app, std::span<const ClusterView> clusters,
                               double now_s) noexcept {
  take_up(app, clusters);
  now_s_ = now_s;
  // A cap or the governor may have moved the clock under the present setting.
  if (present_.level >= 0) {
    const std::size_t c = cluster_of(present_.placement);
    if (c < clusters.size()) present_.opp = clusters[c].opp;
  }
  follow_load();
  for (std::size_t c = 0; c < clusters.size() && c < kMaxClusters; ++c) {
    if (tail_stale_[c]) tail_s_[c] = slowdown_[c].tail_known() ? slowdown_[c].tail_s(p_) : 0;
    tail_stale_[c] = false;
  }
  floor_s_ = fastest_s_ * (1 + kSameDemand);
  const bool free = fresh_ || present_.level < 0;
  highest_ = free || (leap_ && since_change_ >= kSharpen) ? app.costs->levels() : present_.level + 1;
  for (std::size_t p = 0; p < app.costs->placements().size(); ++p) set_gate(static_cast<int>(p));
}

void ApplicationManager::set_gate(int placement) noexcept {
  constexpr double kUnlimited = std::numeric_limits<double>::infinity();
  Gate& gate = gates_[static_cast<std::size_t>(placement)];
  const std::size_t c = cluster_of(placement);
  const SlowdownEstimator& slowdown = slowdown_[c];
  gate.expected = slowdown.mean();
  gate.predicted = slowdown.mean() + quantile_ * slowdown.sigma();
  gate.ceiling_s = memory_.evidence().ceiling(placement, now_s_, p_, others_load_[c]);

  const bool first = present_.level < 0;
  const bool free = fresh_ || first;
  const double by_period_s = app_.period_s > 0 ? kRateMargin * app_.period_s / gate.expected : kUnlimited;
  const double predicted_s = std::min(app_.target_s / gate.predicted, by_period_s);
  // Pre-emption costs whole scheduler ticks: what the window holds is added, not multiplied.
  const bool by_tail = !free && slowdown.tail_known();
  const double measured_s =
      by_tail ? std::min((app_.target_s - tail_s_[c]) / gate.expected, by_period_s) : predicted_s;
  // Nothing measured yet, on a loaded machine: descending costs a miss per step, climbing does not.
  const double share = first && others_load_[c] > kLoaded ? 2 : 1;
  gate.easier_limit_s = predicted_s;
  // Of a state that is new, one that keeps its deadlines need not be certain: a miss would end it.
  const double kept_s =
      free || by_tail ? measured_s : std::min(app_.target_s / (gate.expected * kStartMargin), by_period_s);
  gate.floor_limit_s = !free && must_ease_ ? -1 : kept_s;
  gate.same_limit_s = gate.floor_limit_s / share;
  const bool climbs = !must_ease_ && settled() && budget_ >= 1 && (!leap_ || since_change_ >= kSharpen);
  gate.harder_limit_s = free || climbs ? measured_s : -1;

  gate.most_s = std::max({gate.easier_limit_s, gate.same_limit_s, gate.floor_limit_s, gate.harder_limit_s});

  if (first) {
    gate.easier_s = -1;
    gate.same_s = kUnlimited;
    return;
  }
  const double present_s = demand_s(present_), part = must_ease_ ? ease_to_ : 1;
  if (placement == present_.placement) {
    gate.easier_s = present_s * std::min(part, 1 - kSameDemand);
    gate.same_s = present_s * (1 + kSameDemand);
  } else {
    const std::vector<Placement>& at = app_.costs->placements();
    const double threads = at[static_cast<std::size_t>(placement)].threads;
    const double present_threads = at[static_cast<std::size_t>(present_.placement)].threads;
    gate.easier_s = present_s * part * std::min(1.0, present_threads / threads);
    gate.same_s = gate.easier_s;
  }
}

ApplicationManager::Step ApplicationManager::step_to(const Setting& setting) const noexcept {
  const double demand = demand_s(setting), present = demand_s(present_);
  if (setting.placement == present_.placement) {
    if (std::abs(demand - present) <= kSameDemand * present) return Step::same;
    return demand < present ? Step::easier : Step::harder;
  }
  const auto threads = [&](const Setting& s) {
    return app_.costs->placements()[static_cast<std::size_t>(s.placement)].threads;
  };
  const bool easier = demand <= present && threads(setting) * demand <= threads(present_) * present;
  return easier ? Step::easier : Step::harder;
}

double ApplicationManager::expected_s(const Setting& setting) const noexcept {
  return demand_s(setting) * slowdown_[cluster_of(setting.placement)].mean();
}

double ApplicationManager::lateness(const Setting& setting) const noexcept {
  const double demand = demand_s(setting);
  if (open(setting.level, setting.placement, demand)) return 0;
  const Gate& gate = gates_[static_cast<std::size_t>(setting.placement)];
  const double of_period = app_.period_s > 0 ? demand * gate.expected / (kRateMargin * app_.period_s) : 0;
  return std::max({demand * gate.predicted / app_.target_s, of_period, 1e-6});
}

bool ApplicationManager::settled() const noexcept {
  return now_s_ - since_s_ >= options_.dwell_s && inferences_since_ >= options_.dwell_inferences;
}

void ApplicationManager::commit(const Setting& setting) noexcept {
  fresh_ = false;
  if (setting == present_) return;
  if (present_.level >= 0) {
    switch (step_to(setting)) {
      case Step::harder:
        leap_ = false;
        probation_ = probation();
        ease_to_ = kEaseTo;
        break;
      case Step::easier:
        probation_ = 0;
        slowdown_[cluster_of(setting.placement)].forget_tail();
        tail_stale_[cluster_of(setting.placement)] = true;
        break;
      case Step::same:
        break;
    }
  }
  present_ = setting;
  since_s_ = now_s_;
  inferences_since_ = 0;
  rescued_ = 0;
  must_ease_ = false;
}

int ApplicationManager::start(double waited_s) noexcept {
  running_ = present_;
  const double left_s = app_.target_s - waited_s;
  const auto fits = [&](int level) {
    const Setting setting{level, present_.placement, present_.opp};
    const double spread = app_.costs->spread(level, present_.placement, present_.opp);
    return expected_s(setting) * (kStartMargin + 2 * spread) <= left_s;
  };
  // A queue that has grown to this is drained at once: each frame behind this one inherits the wait, so a
  // level that merely fits leaves the next no room, and a single pre-emption then costs a burst of deadlines.
  // Where this one ends before the next arrives, there is no queue.
  const bool behind = app_.period_s > 0 && waited_s > kCatchUp * app_.target_s &&
                      waited_s + expected_s(present_) > app_.period_s;
  const bool keeps = waited_s <= 0 || (!behind && fits(present_.level));
  if (!stalled_) rescued_ += kRescueWeight * ((keeps ? 0.0 : 1.0) - rescued_);
  if (keeps) return present_.level;
  int best = -1, fastest = present_.level;
  for (int level = first_level_; level < end_level_; ++level) {
    const double demand = demand_s({level, present_.placement, present_.opp});
    if (demand < demand_s({fastest, present_.placement, present_.opp})) fastest = level;
    if (demand > demand_s(present_) || app_.costs->accuracy(level) < app_.min_accuracy || !fits(level))
      continue;
    const bool better = best < 0 || (behind ? demand < demand_s({best, present_.placement, present_.opp})
                                            : app_.costs->accuracy(level) > app_.costs->accuracy(best));
    if (better) best = level;
  }
  return best >= 0 ? best : fastest;
}

double ApplicationManager::slowdown() const noexcept {
  return app_.costs == nullptr ? 1 : slowdown_[cluster_of(present_.placement)].mean();
}

}  // namespace dsn

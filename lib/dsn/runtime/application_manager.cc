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
constexpr double kLoaded = 0.5;  // cores that others keep busy: a fair share may be half a core
constexpr double kCatchUp =
    0.25;  // of the target may be spent waiting before a queue is drained at the fastest level
constexpr double kRescueWeight = 1.0 / 32;  // of one inference in the share that starts late
constexpr double kRescueMost = 0.2;  // of them: more, and the next lower level would do better all the time
constexpr double kLeastBudget = -1;  // a failed climb may cost several misses, but not the next minute
constexpr double kLeastEarning =
    0.1;  // of the misses allowed, whatever the floor misses: never stuck for ever

}  // namespace

ApplicationManager::ApplicationManager(const ManagerOptions& options) noexcept
    : options_(options), evidence_(options.evidence), budget_(options.budget_most) {
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
  }
  app_ = app;
  fastest_s_ = std::numeric_limits<double>::infinity();
  for (std::size_t p = 0; p < app.costs->placements().size(); ++p) {
    const auto placement = static_cast<int>(p);
    const std::size_t c = cluster_of(placement);
    if (c >= clusters.size()) continue;
    others_load_[c] = clusters[c].others_load;
    for (int level = 0; level < app.costs->levels(); ++level)
      fastest_s_ = std::min(fastest_s_, app.costs->latency(level, placement, clusters[c].max_opp));
  }
  if (!same_model) present_ = running_ = Setting{};
  const double change_s = std::abs(app.target_s - evidence_target_s_);
  if (!same_model || change_s > kTargetChange * evidence_target_s_) {
    evidence_target_s_ = app.target_s;
    evidence_.reset(fastest_s_);
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
  const bool late = done.done_s - done.scheduled_s > done.target_s;
  const bool blameless = inherited(done);
  if (stalled_ && late) return;
  const int shift = slowdown_[cluster_of(done.placement)].observe(
      done.done_s - done.start_s, app.costs->latency(done.level, done.placement, done.opp),
      app.costs->spread(done.level, done.placement, done.opp));
  if (shift < 0 && now_s_ >= forgiven_s_ + options_.evidence.max_backoff_s) {
    // Load that slowed this level has gone: what failed under it says nothing any more.
    forgiven_s_ = now_s_;
    evidence_.forgive();
    budget_ = std::max(budget_, 1.0);
  }
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
  evidence_.missed(running_.placement, demand, now_s_, others_load_[cluster_of(running_.placement)]);
  if (!(running_.level == present_.level && running_.placement == present_.placement)) return;
  if (probation_ > 0) {
    evidence_.climb_failed(running_.placement, demand, now_s_);
    probation_ = 0;
    failing_ = true;
  }
  if (at_floor(running_)) return;
  must_ease_ = true;
  ease_to_ = settled() ? kEaseTo : std::max(ease_to_ * kEaseFaster, kEaseMost);
}

void ApplicationManager::kept() noexcept {
  failing_ = false;
  const double demand = demand_s(running_);
  if (rescued_ > kRescueMost && running_ == present_ && !at_floor(running_)) {
    // On time, but only because every fifth inference runs a faster level.
    evidence_.missed(running_.placement, demand, now_s_, others_load_[cluster_of(running_.placement)]);
    evidence_.climb_failed(running_.placement, demand, now_s_);
    must_ease_ = true;
    ease_to_ = kEaseTo;
    return;
  }
  evidence_.kept(running_.placement, demand, now_s_, p_);
  if (probation_ > 0 && --probation_ == 0) evidence_.climb_held(running_.placement, demand, now_s_);
}

void ApplicationManager::begin(const AppView& app, std::span<const ClusterView> clusters,
                               double now_s) noexcept {
  take_up(app, clusters);
  now_s_ = now_s;
  const auto count = app.costs->placements().size();
  for (std::size_t c = 0; c < clusters.size() && c < kMaxClusters; ++c)
    tail_s_[c] = slowdown_[c].tail_known() ? slowdown_[c].tail_s(p_) : 0;
  for (std::size_t p = 0; p < count; ++p) {
    const auto placement = static_cast<int>(p);
    ceiling_s_[p] = evidence_.ceiling(placement, now_s, p_, others_load_[cluster_of(placement)]);
  }
  // A cap or the governor may have moved the clock under the present setting.
  if (present_.level >= 0) {
    const std::size_t c = cluster_of(present_.placement);
    if (c < clusters.size()) present_.opp = clusters[c].opp;
  }
}

ApplicationManager::Step ApplicationManager::step_to(const Setting& setting, double part) const noexcept {
  const double demand = demand_s(setting), present = demand_s(present_);
  if (setting.placement == present_.placement) {
    if (std::abs(demand - present) <= kSameDemand * present) return Step::same;
    if (demand <= present * part) return Step::easier;
    return demand < present ? Step::same : Step::harder;
  }
  const auto threads = [&](const Setting& s) {
    return app_.costs->placements()[static_cast<std::size_t>(s.placement)].threads;
  };
  const bool easier =
      demand <= present * part && threads(setting) * demand <= threads(present_) * present * part;
  return easier ? Step::easier : Step::harder;
}

double ApplicationManager::expected_s(const Setting& setting) const noexcept {
  return demand_s(setting) * slowdown_[cluster_of(setting.placement)].mean();
}

double ApplicationManager::lateness(const Setting& setting) const noexcept {
  const std::size_t c = cluster_of(setting.placement);
  const SlowdownEstimator& slowdown = slowdown_[c];
  const double demand = demand_s(setting);
  const double expected = demand * slowdown.mean();
  const double predicted = expected + quantile_ * slowdown.sigma() * demand;
  const double of_period = app_.period_s > 0 ? expected / (kRateMargin * app_.period_s) : 0;

  const bool first = present_.level < 0;
  const bool free = fresh_ || first;
  const Step step = first ? Step::same : step_to(setting, must_ease_ ? ease_to_ : 1);
  // Pre-emption costs whole scheduler ticks: what the window holds is added, not multiplied.
  const bool by_tail = !free && step != Step::easier && slowdown.tail_known();
  const bool floor = demand <= fastest_s_ * (1 + kSameDemand);
  // Nothing measured yet, on a loaded machine: descending costs a miss per step, climbing does not.
  const double share = first && !floor && others_load_[c] > kLoaded ? 2 : 1;
  bool open =
      (by_tail ? expected + tail_s_[c] : share * predicted) <= app_.target_s && share * of_period <= 1;
  open = open && (floor || demand < ceiling_s_[static_cast<std::size_t>(setting.placement)]);
  if (!free && step != Step::easier && must_ease_) open = false;
  if (!free && step == Step::harder)
    open = open && settled() && budget_ >= 1 && setting.level <= present_.level + 1;
  if (open) return 0;
  return std::max({predicted / app_.target_s, of_period, 1e-6});
}

bool ApplicationManager::settled() const noexcept {
  return now_s_ - since_s_ >= options_.dwell_s && inferences_since_ >= options_.dwell_inferences;
}

void ApplicationManager::commit(const Setting& setting) noexcept {
  fresh_ = false;
  if (setting == present_) return;
  if (present_.level >= 0) {
    switch (step_to(setting, 1)) {
      case Step::harder:
        probation_ = probation();
        ease_to_ = kEaseTo;
        break;
      case Step::easier:
        probation_ = 0;
        slowdown_[cluster_of(setting.placement)].forget_tail();
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
  for (int level = 0; level < app_.costs->levels(); ++level) {
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

// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/live_manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/runtime/live_clusters.h"

namespace dsn {
namespace {

// To come or go one waits longer than for a decision.
constexpr double kChangePatience = 20e-3;
constexpr std::chrono::microseconds kNap{20};

// Cores that others keep busy: above, the kernel must be free to move applications away from them.
constexpr double kOthersMost = 0.3;
constexpr double kShareFor = 1.0;  // so long after that was last seen

// Whoever holds the lock has it for microseconds, unless it lost its core, or hangs.
class BoundedLock {
 public:
  BoundedLock(std::mutex& mutex, double patience_s) noexcept : mutex_(mutex), owned_(mutex.try_lock()) {
    if (owned_ || patience_s <= 0) return;
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(patience_s);
    do {
      std::this_thread::sleep_for(kNap);
      owned_ = mutex_.try_lock();
    } while (!owned_ && std::chrono::steady_clock::now() < until);
  }
  ~BoundedLock() {
    if (owned_) mutex_.unlock();
  }
  BoundedLock(const BoundedLock&) = delete;
  BoundedLock& operator=(const BoundedLock&) = delete;
  explicit operator bool() const noexcept { return owned_; }

 private:
  std::mutex& mutex_;
  bool owned_;
};

std::size_t bucket_of(double latency_s) noexcept {
  return static_cast<std::size_t>(std::lower_bound(kLatencyBounds.begin(), kLatencyBounds.end(), latency_s) -
                                  kLatencyBounds.begin());
}

}  // namespace

LiveManager::LiveManager(const ManagerParts& parts, Job& job) : parts_(parts), job_(job) {
  if (parts.platform.clusters.size() > kMaxClusters) {
    throw Error(ErrorCode::bad_input,
                fmt::format("platform {}: {} clusters, expected at most {}", parts.platform.name,
                            parts.platform.clusters.size(), kMaxClusters));
  }
  clusters_ = std::make_unique<LiveClusters>(parts_, job_);
  shared_until_s_.fill(-1);
}

LiveManager::~LiveManager() = default;

std::size_t LiveManager::add(std::string name, const CostTable& costs) {
  if (names_.size() >= kMaxApps) {
    throw Error(ErrorCode::bad_usage, fmt::format("application {}: a run has at most {}", name, kMaxApps));
  }
  parts_.policy.check(costs);
  const std::size_t app = names_.size();
  names_.push_back(std::move(name));
  apps_[app].costs = &costs;
  apps_[app].active = false;
  return app;
}

void LiveManager::start() noexcept {
  start_s_ = parts_.clock.now_s();
  const BoundedLock lock(mutex_, kChangePatience);
  publish(0);
}

SystemView LiveManager::view(double now) const noexcept {
  SystemView seen{now, std::span(apps_).first(names_.size()), clusters_->views()};
  seen.base_power_w = parts_.platform.base_power_w;
  return seen;
}

// What the policy chose before is the manager's, the rest the application's.
void LiveManager::take_up(std::size_t app, const AppView& mine) noexcept {
  AppView& kept = apps_[app];
  const int level = kept.level, placement = kept.placement;
  kept = mine;
  kept.level = level;
  kept.placement = placement;
}

void LiveManager::poll() noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock) clusters_->poll(now_s());
}

bool LiveManager::exists(std::size_t app, const AppChoice& choice) const noexcept {
  const CostTable& costs = *apps_[app].costs;
  return choice.level >= 0 && choice.level < costs.levels() && choice.placement >= 0 &&
         choice.placement < static_cast<int>(costs.placements().size());
}

std::optional<Grant> LiveManager::decide(std::size_t app, const AppView& mine) {
  const BoundedLock lock(mutex_, kPatience);
  if (!lock) {
    undecided_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  take_up(app, mine);
  apps_[app].active = true;
  const double before_s = now_s();
  if (parts_.board != nullptr) parts_.board->deciding(before_s);
  const Decision decision = parts_.policy.decide(view(before_s), app);
  const double after_s = now_s();
  if (parts_.board != nullptr) parts_.board->deciding(-1);
  apps_[app].waited_s = 0;

  Grant grant;
  grant.choice = decision.apps[app];
  grant.decision_s = after_s - before_s;
  grant.feasible = decision.feasible;
  grant.made = decision.made;
  if (!decision.made) undecided_.fetch_add(1, std::memory_order_relaxed);
  ++state_.decisions;
  state_.infeasible += decision.feasible ? 0 : 1;
  state_.decision_s = grant.decision_s;
  state_.longest_decision_s = std::max(state_.longest_decision_s, grant.decision_s);
  if (!exists(app, grant.choice)) return grant;
  clusters_->set_opps(decision);
  apps_[app].level = grant.choice.level;
  apps_[app].placement = grant.choice.placement;
  decided_[app] = true;
  grant.cpus = slice_for(app, before_s);
  grant.opp = clusters_->views()[static_cast<std::size_t>(grant.cpus.cluster)].opp;
  return grant;
}

// An application's own cores spare it the others' caches and turns; but beside foreign work a core of one's
// own is also one that one cannot be moved away from, and the kernel, which sees who runs where, does better.
bool LiveManager::shared(std::size_t cluster, double now) noexcept {
  if (clusters_->views()[cluster].others_load > kOthersMost) shared_until_s_[cluster] = now + kShareFor;
  return now < shared_until_s_[cluster] || share_always_.load(std::memory_order_relaxed);
}

// Cores of its own where all placements on the cluster fit side by side, else all of them.
CpuSlice LiveManager::slice_for(std::size_t app, double now) noexcept {
  const auto placement_of = [&](std::size_t a) {
    return apps_[a].costs->placements()[static_cast<std::size_t>(apps_[a].placement)];
  };
  const Placement mine = placement_of(app);
  const auto cluster = static_cast<std::size_t>(mine.cluster);
  const int cores = static_cast<int>(parts_.platform.clusters[cluster].cpus.size());
  int wanted = 0, first = 0, sharing = 0;
  for (std::size_t a = 0; a < names_.size(); ++a) {
    if (!apps_[a].active || !decided_[a] || placement_of(a).cluster != mine.cluster) continue;
    if (a == app) first = wanted;
    wanted += placement_of(a).threads;
    ++sharing;
  }
  if (sharing < 2 || wanted > cores || shared(cluster, now)) return {mine.cluster, 0, cores};
  return {mine.cluster, first, mine.threads};
}

std::optional<double> LiveManager::observe(const AppView& mine, const Completion& done,
                                           const ArrivalOutcome& outcome, bool patient) noexcept {
  const BoundedLock lock(mutex_, patient ? kPatience : 0);
  if (!lock) return std::nullopt;
  const auto app = static_cast<std::size_t>(done.app);
  take_up(app, mine);
  const double now = now_s();
  parts_.policy.observe(view(now), done);
  const double slowdown = parts_.policy.slowdown(app);

  AppState& seen = state_.apps[app];
  seen.slowdown = slowdown;
  seen.met = outcome.met;
  if (done.dropped) {
    outcome.aborted ? ++seen.aborted : ++seen.skipped;
  } else {
    const std::int64_t before = seen.completed + seen.aborted;
    seen.switches += before > 0 && seen.level != done.level ? 1 : 0;
    seen.level = done.level;
    seen.placement = done.placement;
    seen.opp = done.opp;
    seen.latency_s = done.done_s - done.scheduled_s;
    seen.met_count += outcome.met ? 1 : 0;
    outcome.aborted ? ++seen.aborted : ++seen.completed;
    if (!outcome.aborted) {
      seen.latency_sum_s += seen.latency_s;
      ++seen.latency_counts[bucket_of(seen.latency_s)];
    }
    if (outcome.correct) {
      ++seen.labelled;
      seen.correct += *outcome.correct ? 1 : 0;
    }
  }
  publish(now);
  return slowdown;
}

void LiveManager::set_active(std::size_t app, const AppView& mine, bool active, bool paused,
                             bool failed) noexcept {
  const BoundedLock lock(mutex_, kChangePatience);
  if (!lock) return;
  take_up(app, mine);
  apps_[app].active = active;
  decided_[app] = decided_[app] && active;
  state_.apps[app].paused = paused;
  state_.apps[app].failed = failed;
  publish(now_s());
}

void LiveManager::end() noexcept {
  const BoundedLock lock(mutex_, kChangePatience);
  state_.ended = true;
  publish(now_s());
}

void LiveManager::publish(double now) noexcept {
  if (parts_.board == nullptr) return;
  state_.now_s = now;
  state_.undecided = undecided_.load(std::memory_order_relaxed);
  for (std::size_t a = 0; a < names_.size(); ++a) {
    AppState& seen = state_.apps[a];
    seen.active = apps_[a].active;
    seen.target_s = apps_[a].target_s;
    seen.min_accuracy = apps_[a].min_accuracy;
    seen.priority = apps_[a].priority;
    seen.period_s = apps_[a].period_s;
  }
  for (std::size_t c = 0; c < clusters_->views().size(); ++c) {
    ClusterState& seen = state_.clusters[c];
    seen.opp = clusters_->views()[c].opp;
    seen.others_load = clusters_->views()[c].others_load;
    seen.freq_hz = clusters_->frequency(c);
    seen.held = clusters_->held(c);
  }
  parts_.board->publish(state_);
}

}  // namespace dsn

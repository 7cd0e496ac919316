// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/watched_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "dsn/control/background.h"
#include "dsn/core/error.h"

namespace dsn {
namespace {

using SteadyClock = std::chrono::steady_clock;

// What a policy was shown, kept while it looks at it.
struct KeptView {
  SystemView scalars;
  std::array<AppView, kMaxApps> apps{};
  std::array<ClusterView, kMaxClusters> clusters{};
  std::size_t app_count = 0, cluster_count = 0;

  void keep(const SystemView& view) noexcept {
    scalars = view;
    app_count = std::min(view.apps.size(), kMaxApps);
    cluster_count = std::min(view.clusters.size(), kMaxClusters);
    std::copy_n(view.apps.begin(), app_count, apps.begin());
    std::copy_n(view.clusters.begin(), cluster_count, clusters.begin());
  }
  [[nodiscard]] SystemView view() const noexcept {
    SystemView kept = scalars;
    kept.apps = std::span(apps).first(app_count);
    kept.clusters = std::span(clusters).first(cluster_count);
    return kept;
  }
};

struct Seen {
  KeptView view;
  Completion done;
};

StaticPolicy fallback_of(const WatchdogOptions& options) {
  if (!(options.deadline_s > 0)) {
    throw Error(
        ErrorCode::bad_usage,
        fmt::format("watchdog's deadline in seconds: found {}, expected more than 0", options.deadline_s));
  }
  if (options.safe == "last") return StaticPolicy(0);
  const auto made = options.safe.starts_with("static:") ? make_policy(options.safe) : nullptr;
  if (const auto* policy = dynamic_cast<const StaticPolicy*>(made.get())) return *policy;
  throw Error(
      ErrorCode::bad_usage,
      fmt::format("watchdog's safe setting: found \"{}\", expected last or static:LEVEL", options.safe));
}

}  // namespace

// Where questions are left for the policy's thread, and answers for the applications'. Only that thread
// touches the policy once the first question was asked.
class WatchedPolicy::Desk {
 public:
  explicit Desk(std::unique_ptr<Policy> policy) : policy_(std::move(policy)) {
    for (auto& slowdown : slowdown_) slowdown = 1;
  }

  [[nodiscard]] Policy& policy() noexcept { return *policy_; }
  [[nodiscard]] double slowdown(std::size_t app) const noexcept {
    return app < kMaxApps ? slowdown_[app].load() : 1;
  }
  [[nodiscard]] WatchdogCounts counts() const noexcept {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

  void tell(const SystemView& view, const Completion& done) noexcept {
    const std::lock_guard lock(mutex_);
    if (seen_count_ == seen_.size()) {
      ++counts_.unobserved;
      return;
    }
    Seen& kept = seen_[(seen_first_ + seen_count_++) % seen_.size()];
    kept.view.keep(view);
    kept.done = done;
    // Else they wait for the next question: one change of thread for all.
    if (seen_count_ >= seen_.size() / 2) asked_.notify_one();
  }

  // Nothing when the policy is late.
  std::optional<Decision> ask(const SystemView& view, std::size_t app, double deadline_s) noexcept {
    std::unique_lock lock(mutex_);
    if (counts_.stalled) {
      ++counts_.undecided;
      return std::nullopt;
    }
    question_.keep(view);
    question_app_ = app;
    open_ = true;
    answer_.reset();
    const auto asked_at = SteadyClock::now();
    asked_.notify_one();
    const auto deadline = asked_at + std::chrono::duration_cast<SteadyClock::duration>(
                                         std::chrono::duration<double>(deadline_s));
    if (answered_.wait_until(lock, deadline, [this] { return answer_.has_value(); })) return answer_;
    counts_.stalled = true;
    ++counts_.stalls;
    ++counts_.undecided;
    stalled_at_ = asked_at;
    return std::nullopt;
  }

  // The policy's thread.
  void work() noexcept {
    std::unique_lock lock(mutex_);
    for (;;) {
      asked_.wait(lock, [this] { return ending_ || open_ || seen_count_ >= seen_.size() / 2; });
      if (ending_) break;
      if (seen_count_ > 0) {
        show_one(lock);
      } else {
        answer(lock);
      }
    }
    ended_ = true;
    answered_.notify_all();
  }

  // False when the policy hangs.
  bool end(double patience_s) noexcept {
    std::unique_lock lock(mutex_);
    ending_ = true;
    asked_.notify_one();
    return answered_.wait_for(lock, std::chrono::duration<double>(patience_s), [this] { return ended_; });
  }

 private:
  static constexpr std::size_t kMostSeen = 64;

  void show_one(std::unique_lock<std::mutex>& lock) noexcept {
    shown_ = seen_[seen_first_];
    seen_first_ = (seen_first_ + 1) % seen_.size();
    --seen_count_;
    lock.unlock();
    policy_->observe(shown_.view.view(), shown_.done);
    lock.lock();
    back();
  }

  void answer(std::unique_lock<std::mutex>& lock) noexcept {
    open_ = false;
    shown_.view = question_;
    const std::size_t app = question_app_;
    lock.unlock();
    const Decision decision = policy_->decide(shown_.view.view(), app);
    for (std::size_t a = 0; a < kMaxApps; ++a) slowdown_[a] = policy_->slowdown(a);
    lock.lock();
    // Too late, it is an answer to what nobody asks any more.
    if (!counts_.stalled) {
      answer_ = decision;
      answered_.notify_one();
    }
    back();
  }

  // The policy has returned; a question that it still owes was given up.
  void back() noexcept {
    if (!counts_.stalled) return;
    counts_.stalled = open_;
    if (counts_.stalled) return;
    const double took_s = std::chrono::duration<double>(SteadyClock::now() - stalled_at_).count();
    counts_.longest_stall_s = std::max(counts_.longest_stall_s, took_s);
  }

  std::unique_ptr<Policy> policy_;
  mutable std::mutex mutex_;
  std::condition_variable asked_, answered_;
  bool open_ = false, ending_ = false, ended_ = false;
  KeptView question_;
  std::size_t question_app_ = 0;
  std::optional<Decision> answer_;
  std::array<Seen, kMostSeen> seen_{};  // a ring
  std::size_t seen_first_ = 0, seen_count_ = 0;
  Seen shown_;  // what the policy looks at now
  SteadyClock::time_point stalled_at_{};
  WatchdogCounts counts_;
  std::array<std::atomic<double>, kMaxApps> slowdown_{};
};

WatchedPolicy::WatchedPolicy(std::unique_ptr<Policy> policy, const WatchdogOptions& options)
    : options_(options), fallback_(fallback_of(options)), desk_(std::make_shared<Desk>(std::move(policy))) {
  decided_opp_.fill(kLeaveToGovernor);
  met_opp_.fill(kLeaveToGovernor);
  const SignalsBlocked blocked;
  thread_ = std::thread([desk = desk_] { desk->work(); });
}

WatchedPolicy::~WatchedPolicy() {
  if (desk_->end(options_.deadline_s)) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

const std::string& WatchedPolicy::name() const noexcept {
  return desk_->policy().name();
}

void WatchedPolicy::check(const CostTable& costs) const {
  desk_->policy().check(costs);
  if (options_.safe != "last") fallback_.check(costs);
}

void WatchedPolicy::observe(const SystemView& view, const Completion& done) noexcept {
  const auto app = static_cast<std::size_t>(done.app);
  if (app < kMaxApps && !done.dropped && done.done_s - done.scheduled_s <= done.target_s) {
    met_[app] = {done.level, done.placement};
    has_met_[app] = true;
    met_opp_ = decided_opp_;
  }
  desk_->tell(view, done);
}

Decision WatchedPolicy::decide(const SystemView& view, std::size_t app) noexcept {
  const std::optional<Decision> decision = desk_->ask(view, app, options_.deadline_s);
  if (!decision) return safe_decision(view);
  decided_opp_ = decision->opp;
  return *decision;
}

Decision WatchedPolicy::safe_decision(const SystemView& view) noexcept {
  Decision decision = fallback_.decide(view, 0);
  decision.made = false;
  decision.feasible = false;  // nobody expects anything
  if (options_.safe != "last") return decision;
  for (std::size_t a = 0; a < kMaxApps; ++a)
    if (has_met_[a]) decision.apps[a] = met_[a];
  decision.opp = met_opp_;
  return decision;
}

double WatchedPolicy::slowdown(std::size_t app) const noexcept {
  return desk_->slowdown(app);
}

WatchdogCounts WatchedPolicy::counts() const noexcept {
  return desk_->counts();
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/watched_policy.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../fakes/contended_cpu.h"
#include "../fakes/error_of.h"
#include "../fakes/small_family.h"
#include "dsn/runtime/dsn_policy.h"

using namespace dsn;
using namespace dsn::fakes;

namespace {

// Hangs while it is told to: what a watchdog is for.
class Hanging final : public Policy {
 public:
  struct Strings {  // outlive the policy
    std::mutex mutex;
    std::condition_variable changed;
    bool hang = false;
    std::atomic<int> observed{0}, decided{0};
    void set(bool on) {
      {
        const std::lock_guard lock(mutex);
        hang = on;
      }
      changed.notify_all();
    }
    void pass() {
      std::unique_lock lock(mutex);
      changed.wait(lock, [this] { return !hang; });
    }
  };
  explicit Hanging(std::shared_ptr<Strings> strings) : strings_(std::move(strings)) {}
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  void observe(const SystemView& /*view*/, const Completion& /*done*/) noexcept override {
    strings_->pass();
    ++strings_->observed;
  }
  Decision decide(const SystemView& /*view*/, std::size_t /*app*/) noexcept override {
    strings_->pass();
    ++strings_->decided;
    Decision decision;
    decision.apps[0] = {4, 0};
    decision.opp.fill(1);
    return decision;
  }
  [[nodiscard]] double slowdown(std::size_t /*app*/) const noexcept override { return 1.5; }

 private:
  std::shared_ptr<Strings> strings_;
  std::string name_ = "hanging";
};

struct Rig {
  CostTable costs = plain_costs();
  Platform platform = plain_platform();
  AppView app;
  ClusterView cluster;
  std::shared_ptr<Hanging::Strings> strings = std::make_shared<Hanging::Strings>();
  Rig() {
    app.costs = &costs;
    app.target_s = 5e-3;
    cluster.cluster = &platform.clusters[0];
  }
  [[nodiscard]] SystemView view(double now_s = 0) const { return {now_s, {&app, 1}, {&cluster, 1}}; }
  [[nodiscard]] std::unique_ptr<WatchedPolicy> watched(const WatchdogOptions& options) const {
    return std::make_unique<WatchedPolicy>(std::make_unique<Hanging>(strings), options);
  }
  static Completion completion(int level, double latency_s) {
    Completion done;
    done.level = level;
    done.done_s = latency_s;
    done.target_s = 5e-3;
    return done;
  }
};

double seconds_of(const auto& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The policy is asked until it answers again.
bool comes_back(WatchedPolicy& policy, const SystemView& view) {
  for (int i = 0; i < 1000; ++i) {
    if (policy.decide(view, 0).made) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

constexpr double kPatience = 5;  // s; of decisions that must come, on a machine as busy as it may be

}  // namespace

TEST_CASE("WatchedPolicy: decides as the policy alone, inference by inference") {
  const Rig rig;
  DsnPolicy alone{DsnOptions{}};
  WatchedPolicy watched(std::make_unique<DsnPolicy>(DsnOptions{}), {.deadline_s = kPatience});
  CHECK(watched.name() == alone.name());
  AppView app = rig.app;
  double now_s = 0;
  std::vector<int> levels;
  for (int i = 0; i < 400; ++i, now_s += 0.01) {
    const SystemView view{now_s, {&app, 1}, {&rig.cluster, 1}};
    const Decision a = alone.decide(view, 0), b = watched.decide(view, 0);
    REQUIRE(a.apps[0].level == b.apps[0].level);
    REQUIRE(a.apps[0].placement == b.apps[0].placement);
    REQUIRE(a.feasible == b.feasible);
    REQUIRE(b.made);
    CHECK(alone.slowdown(0) == watched.slowdown(0));
    levels.push_back(a.apps[0].level);
    app.level = a.apps[0].level;
    // Contention in the middle of it makes the levels move.
    const double slowdown = i > 100 && i < 250 ? 3.0 : 1.0;
    Completion done = Rig::completion(app.level, 0);
    done.scheduled_s = done.start_s = now_s;
    done.done_s = now_s + slowdown * rig.costs.latency(app.level, 0, 0);
    alone.observe(view, done);
    watched.observe(view, done);
  }
  CHECK(*std::min_element(levels.begin(), levels.end()) < *std::max_element(levels.begin(), levels.end()));
  const WatchdogCounts counts = watched.counts();
  CHECK(counts.stalls == 0);
  CHECK(counts.undecided == 0);
  CHECK(counts.unobserved == 0);
}

TEST_CASE("WatchedPolicy: while the policy hangs inferences go on at the last setting that met a deadline") {
  const Rig rig;
  const auto policy = rig.watched({.deadline_s = 0.2});
  const Decision first = policy->decide(rig.view(), 0);
  CHECK(first.apps[0].level == 4);
  CHECK(first.made);
  CHECK(policy->slowdown(0) == 1.5);
  policy->observe(rig.view(), Rig::completion(3, 4e-3));  // met
  policy->observe(rig.view(), Rig::completion(5, 9e-3));  // missed: not safe
  rig.strings->set(true);
  Decision late;
  const double waited_s = seconds_of([&] { late = policy->decide(rig.view(), 0); });
  CHECK(waited_s > 0.19);
  CHECK_FALSE(late.made);
  CHECK_FALSE(late.feasible);
  CHECK(late.apps[0].level == 3);
  CHECK(late.opp[0] == 1);  // as it was then
  CHECK(policy->counts().stalled);
  // Once it is known to hang nobody waits for it.
  const double rest_s = seconds_of([&] {
    for (int i = 0; i < 1000; ++i) {
      CHECK(policy->decide(rig.view(), 0).apps[0].level == 3);
      policy->observe(rig.view(), Rig::completion(3, 4e-3));
    }
  });
  CHECK(rest_s < 0.2 * 10);
  WatchdogCounts counts = policy->counts();
  CHECK(counts.stalls == 1);
  CHECK(counts.undecided == 1001);
  CHECK(counts.unobserved > 900);  // what it is told later is bounded

  rig.strings->set(false);
  CHECK(comes_back(*policy, rig.view()));
  counts = policy->counts();
  CHECK_FALSE(counts.stalled);
  CHECK(counts.longest_stall_s >= 0.2);
  CHECK(policy->decide(rig.view(), 0).apps[0].level == 4);
  CHECK(rig.strings->observed > 2);
}

TEST_CASE("WatchedPolicy: a policy that hangs while it observes is late, too") {
  const Rig rig;
  const auto policy = rig.watched({.deadline_s = 0.1});
  CHECK(policy->decide(rig.view(), 0).made);
  rig.strings->set(true);
  policy->observe(rig.view(), Rig::completion(5, 9e-3));  // returns
  const Decision late = policy->decide(rig.view(), 0);
  CHECK_FALSE(late.made);
  CHECK(late.apps[0].level == 0);  // nothing has met a deadline yet: the smallest
  rig.strings->set(false);
  CHECK(comes_back(*policy, rig.view()));
}

TEST_CASE("WatchedPolicy: a static level as the safe setting, frequencies left to the governor") {
  const Rig rig;
  const auto policy = rig.watched({.deadline_s = 0.05, .safe = "static:2"});
  CHECK(policy->decide(rig.view(), 0).made);
  policy->observe(rig.view(), Rig::completion(3, 4e-3));
  rig.strings->set(true);
  const Decision late = policy->decide(rig.view(), 0);
  CHECK(late.apps[0].level == 2);
  CHECK(late.opp[0] == kLeaveToGovernor);
  rig.strings->set(false);
}

TEST_CASE("WatchedPolicy: one that never comes back is left behind") {
  auto rig = std::make_unique<Rig>();
  const auto strings = rig->strings;
  auto policy = rig->watched({.deadline_s = 0.05});
  strings->set(true);
  CHECK_FALSE(policy->decide(rig->view(), 0).made);
  CHECK(seconds_of([&] { policy.reset(); }) < kPatience);
  CHECK(strings.use_count() >= 2);  // the policy still lives, with its thread
  strings->set(false);              // and ends when it can
  for (int i = 0; i < 1000 && strings.use_count() > 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(strings.use_count() == 2);  // of this test and its rig
}

TEST_CASE("WatchedPolicy: arrivals that are dropped without a decision are all told") {
  const Rig rig;
  const auto policy = rig.watched({.deadline_s = kPatience});
  for (int i = 0; i < 20000; ++i) {
    Completion dropped = Rig::completion(0, 0);
    dropped.dropped = true;
    policy->observe(rig.view(), dropped);
    if (i % 16 == 0) std::this_thread::yield();
  }
  CHECK(policy->decide(rig.view(), 0).made);
  const WatchdogCounts counts = policy->counts();
  CHECK(rig.strings->observed + counts.unobserved == 20000);
  CHECK(rig.strings->observed > 64);
}

TEST_CASE("WatchedPolicy: options that make no sense are named") {
  const Rig rig;
  const auto complaint = [&](const WatchdogOptions& options) {
    const Error error = error_of([&] { (void)rig.watched(options); });
    CHECK(error.code() == ErrorCode::bad_usage);
    return error.message();
  };
  CHECK(complaint({.deadline_s = 0}) == "watchdog's deadline in seconds: found 0, expected more than 0");
  CHECK(complaint({.safe = "dsn"}) ==
        "watchdog's safe setting: found \"dsn\", expected last or static:LEVEL");
  CHECK(complaint({.safe = "static:none"}).find("none") != std::string::npos);
  const auto beyond = rig.watched({.deadline_s = 1, .safe = "static:9"});
  CHECK_THROWS_AS(beyond->check(rig.costs), Error);
}

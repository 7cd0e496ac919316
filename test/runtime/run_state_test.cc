// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/run_state.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <limits>
#include <thread>
#include <vector>

#include "../fakes/error_of.h"
#include "dsn/runtime/goal_changes.h"

using namespace dsn;
using namespace dsn::fakes;

namespace {

GoalChanges* signalled = nullptr;

}  // namespace

TEST_CASE("RunBoard: a reader sees whole states only, while they are written") {
  RunBoard board;
  CHECK(board.description() == nullptr);
  board.begin({"dsn", {{"cam", {0.9, 0.93}, {"cpu, 1 thread"}}}, {}});
  REQUIRE(board.description() != nullptr);
  CHECK(board.description()->apps[0].name == "cam");
  CHECK(board.read().now_s < 0);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    RunState state;
    for (int i = 1; i <= 20000; ++i) {
      state.now_s = i;
      state.decisions = i;
      for (AppState& app : state.apps) app.completed = i;
      state.longest_decision_s = i;
      board.publish(state);
    }
    done = true;
  });
  bool whole = true, forward = true;
  double last_s = -1;
  while (!done) {
    const RunState state = board.read();
    if (state.now_s > 0) {
      const auto i = static_cast<std::int64_t>(state.now_s);
      whole = whole && state.decisions == i && state.apps[0].completed == i &&
              state.apps[kMaxApps - 1].completed == i && state.longest_decision_s == state.now_s;
    }
    forward = forward && state.now_s >= last_s;
    last_s = state.now_s;
  }
  writer.join();
  CHECK(whole);
  CHECK(forward);
  CHECK(board.read().decisions == 20000);
}

TEST_CASE("GoalChanges: the last value counts, once, and only for its application") {
  GoalChanges changes({"cam", "plate"});
  CHECK_FALSE(changes.take(0).any());
  for (int i = 1; i <= 1000; ++i) changes.set_target("plate", 1e-3 * i);
  changes.set_min_accuracy("plate", 0.9);
  changes.set_priority("plate", -2);
  changes.pause("plate", true);
  CHECK_FALSE(changes.take(0).any());
  const GoalChange change = changes.take(1);
  CHECK(change.target_s.value() == doctest::Approx(1.0));
  CHECK(change.min_accuracy.value() == doctest::Approx(0.9));
  CHECK(change.priority.value() == -2);
  CHECK(change.paused.value());
  CHECK_FALSE(changes.take(1).any());
  changes.pause("plate", false);
  const GoalChange resumed = changes.take(1);
  CHECK_FALSE(resumed.paused.value());
  CHECK_FALSE(resumed.target_s);
}

TEST_CASE("GoalChanges: what makes no sense is refused in one line, and changes nothing") {
  GoalChanges changes({"cam", "plate"});
  CHECK(error_of([&] { changes.set_target("door", 1e-3); }).code() == ErrorCode::not_found);
  CHECK(error_of([&] { changes.set_target("door", 1e-3); }).message() ==
        "no application \"door\"; this run has cam, plate");
  for (const double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const Error error = error_of([&] { changes.set_target("cam", bad); });
    CHECK(error.code() == ErrorCode::bad_usage);
    CHECK(error.message().find('\n') == std::string::npos);
    CHECK_FALSE(changes.post(0, {.target_s = bad}));
  }
  CHECK(error_of([&] { changes.set_min_accuracy("cam", 1.5); }).code() == ErrorCode::bad_usage);
  CHECK_FALSE(changes.post(2, {.target_s = 1e-3}));
  CHECK_FALSE(changes.take(0).any());
}

TEST_CASE("GoalChanges: a signal handler may post") {
  GoalChanges changes({"cam"});
  signalled = &changes;
  const auto previous = std::signal(SIGUSR1, [](int) { signalled->post(0, {.target_s = 0.012}); });
  std::raise(SIGUSR1);
  std::signal(SIGUSR1, previous);
  CHECK(changes.take(0).target_s.value() == doctest::Approx(0.012));
}

TEST_CASE("GoalChanges: many threads post, one takes; the last of each is not lost") {
  GoalChanges changes({"cam"});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 1; i <= 5000; ++i) changes.set_target("cam", i);
    });
  double last = 0;
  for (int i = 0; i < 20000; ++i)
    if (const GoalChange change = changes.take(0); change.target_s) last = *change.target_s;
  for (std::thread& thread : threads) thread.join();
  if (const GoalChange change = changes.take(0); change.target_s) last = *change.target_s;
  CHECK(last > 0);
  CHECK(last <= 5000);
  changes.set_target("cam", 7);
  CHECK(*changes.take(0).target_s == 7);
}

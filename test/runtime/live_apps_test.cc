// SPDX-License-Identifier: Apache-2.0
// Several applications in one live run, in simulated time.
#include <doctest/doctest.h>
#include <malloc.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../fakes/error_of.h"
#include "../fakes/fake_frames.h"
#include "../fakes/live_fakes.h"
#include "../fakes/sim_clock.h"
#include "../fakes/small_family.h"
#include "dsn/core/error.h"
#include "dsn/runtime/live.h"

using namespace dsn;
using namespace dsn::fakes;

namespace {

struct OneApp {
  std::string name;
  SimExecutor executor;
  FakeFrames frames;
  AppOptions options;
};

// Applications on two cores that do not disturb each other.
struct Rig {
  SimClock clock;
  Preprocessing preprocessing;
  CostTable costs = plain_costs();
  Platform platform = plain_platform();
  std::unique_ptr<Policy> policy = make_policy("dsn");
  std::deque<OneApp> apps;
  TestJob job;
  RunBoard board;
  LiveInputs inputs;
  LoadMonitor* load = nullptr;
  FrequencyControl* frequencies = nullptr;
  Clock* other_clock = nullptr;
  std::map<std::size_t, std::vector<LiveRecord>> records;
  std::function<void(std::size_t, const LiveRecord&)> seen = [](std::size_t, const LiveRecord&) {};

  OneApp& add(const std::string& name, double target_s, double period_s, double duration_s = 10) {
    Clock& time = other_clock != nullptr ? *other_clock : clock;
    apps.push_back({name, SimExecutor(time, kLatencies), FakeFrames(), {}});
    OneApp& app = apps.back();
    app.options.target_s = target_s;
    app.options.period_s = period_s;
    app.options.duration_s = duration_s;
    app.options.warmup = 1;
    return app;
  }
  std::vector<AppOutcome> run(bool keep = true) {
    std::vector<LiveApp> live;
    for (OneApp& app : apps)
      live.push_back({app.name, {app.executor, preprocessing, costs}, app.frames, app.options});
    Clock& time = other_clock != nullptr ? *other_clock : clock;
    const ManagerParts parts{platform, *policy, frequencies, load, time, true, &board};
    return run_live(
        parts, live, inputs,
        [&](std::size_t app, const LiveRecord& record) {
          if (keep) records[app].push_back(record);
          seen(app, record);
        },
        job);
  }
};

// A load that is known until it is not.
class FailingMonitor final : public LoadMonitor {
 public:
  void poll(double now_s) noexcept override { lost_ = now_s > 5; }
  double others_load(std::size_t /*cluster*/) const noexcept override { return lost_ ? -1 : 0.1; }

 private:
  bool lost_ = false;
};

int open_files() {
  int count = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) count += entry.is_symlink() ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("run_live: two applications keep different targets at different rates, and are told apart") {
  Rig rig;
  rig.add("cam", 5e-3, 10e-3);
  rig.add("plate", 1.2e-3, 50e-3);
  const auto outcomes = rig.run();
  REQUIRE(outcomes.size() == 2);
  CHECK(outcomes[0].summary.arrivals() == 1000);
  CHECK(outcomes[1].summary.arrivals() == 200);
  CHECK(*outcomes[0].summary.met_share() > 0.99);
  CHECK(*outcomes[1].summary.met_share() > 0.99);
  CHECK(rig.records[0].back().level == 5);
  CHECK(rig.records[1].back().level <= 1);  // 1.1 of 1.2 ms at level 1
  for (std::size_t app = 0; app < 2; ++app) {
    CHECK(rig.records[app].size() == static_cast<std::size_t>(outcomes[app].summary.arrivals()));
    for (std::size_t i = 0; i < rig.records[app].size(); ++i)
      REQUIRE(rig.records[app][i].index == static_cast<std::int64_t>(i));
    CHECK_FALSE(outcomes[app].failure);
  }
  const RunState state = rig.board.read();
  CHECK(state.ended);
  CHECK(state.decisions + state.undecided == 1200);
  CHECK(state.apps[0].completed == 1000);
  CHECK(state.apps[1].completed == 200);
  CHECK(state.apps[1].target_s == 1.2e-3);
  CHECK_FALSE(state.apps[0].active);
  std::int64_t counted = 0;
  for (const std::int64_t count : state.apps[0].latency_counts) counted += count;
  CHECK(counted == 1000);
  CHECK(rig.board.description()->apps[1].name == "plate");
}

TEST_CASE("run_live: applications come at their start and leave with their time or their input") {
  Rig rig;
  auto scripted = std::make_unique<Scripted>();
  std::array<bool, 3> was_active{}, was_gone{};
  SimClock& clock = rig.clock;
  scripted->choose = [&](const SystemView& view) {
    const double now_s = clock.now_s();
    for (std::size_t a = 0; a < view.apps.size(); ++a) {
      was_active[a] = was_active[a] || view.apps[a].active;
      was_gone[a] = was_gone[a] || (now_s > 6 && !view.apps[a].active);
    }
    Decision decision;
    decision.opp.fill(kLeaveToGovernor);
    return decision;
  };
  rig.policy = std::move(scripted);
  rig.add("stays", 5e-3, 10e-3);
  OneApp& late = rig.add("late", 5e-3, 10e-3, 3);
  late.options.start_s = 2;
  rig.add("short", 5e-3, 10e-3).frames = FakeFrames(50);
  const auto outcomes = rig.run();
  CHECK(outcomes[0].summary.arrivals() == 1000);
  CHECK(outcomes[1].summary.arrivals() == 300);
  CHECK(outcomes[2].summary.arrivals() == 50);
  CHECK(rig.records[1].front().scheduled_s - rig.records[0].front().scheduled_s == doctest::Approx(2));
  CHECK(rig.records[1].back().scheduled_s < 5);
  CHECK(was_active[1]);
  CHECK_FALSE(was_gone[0]);
  CHECK(was_gone[1]);
  CHECK(was_gone[2]);
  CHECK_FALSE(outcomes[1].summary.interrupted);
}

TEST_CASE("run_live: a model or an input that fails ends its application alone, and is told") {
  Rig rig;
  rig.add("good", 5e-3, 10e-3);
  rig.add("model", 5e-3, 10e-3).executor.before = [](long inference) {
    if (inference == 30) throw Error(ErrorCode::io, "weights are gone");
  };
  rig.add("start", 5e-3, 10e-3).executor.before = [](long) { throw std::runtime_error("no device"); };
  const auto outcomes = rig.run();
  CHECK(outcomes[0].summary.completed == 1000);
  CHECK_FALSE(outcomes[0].failure);
  REQUIRE(outcomes[1].failure);
  CHECK(outcomes[1].failure->code() == ErrorCode::io);
  CHECK(outcomes[1].summary.completed == 24);  // six levels were warmed up
  REQUIRE(outcomes[2].failure);
  CHECK(outcomes[2].failure->message() == "no device");
  CHECK(outcomes[2].summary.arrivals() == 0);
  REQUIRE(rig.job.warnings.size() == 2);
  CHECK(rig.job.warnings[0] == "application start has ended: no device");
  CHECK(rig.job.warnings[1] == "application model has ended: weights are gone");
  CHECK(rig.board.read().apps[1].failed);
  CHECK_FALSE(rig.board.read().apps[0].failed);
}

TEST_CASE("run_live: targets posted or scheduled count from the next arrival on") {
  Rig rig;
  GoalChanges changes({"cam", "plate"});
  const std::vector<std::string> names = {"cam", "plate"};
  const Json document = Json::parse(R"({"schema": "dsn.schedule", "schema_version": 1, "events": [
      {"at_s": 3, "set": {"task": "plate", "target_s": 0.9e-3}},
      {"at_s": 6, "set": {"task": "plate", "target_s": 0.004, "min_accuracy": 0.92}}]})");
  check_schema(document, "dsn.schedule", "test");
  const GoalSchedule schedule = GoalSchedule::parse(document, "test", names);
  rig.inputs.changes = &changes;
  rig.inputs.schedule = &schedule;
  rig.add("cam", 5e-3, 10e-3);
  rig.add("plate", 5e-3, 10e-3);
  rig.seen = [&](std::size_t app, const LiveRecord& record) {
    if (app == 0 && record.index == 499) changes.set_target("cam", 1e-3);
  };
  const auto outcomes = rig.run();
  CHECK(rig.records[0][499].target_s == 5e-3);
  CHECK(rig.records[0][500].target_s == 1e-3);
  CHECK(rig.records[0][500].level == 0);  // 0.8 ms
  CHECK(rig.records[1][299].target_s == 5e-3);
  CHECK(rig.records[1][300].target_s == 0.9e-3);
  CHECK(rig.records[1][300].level == 0);
  CHECK(rig.records[1][600].target_s == 4e-3);
  CHECK(rig.records[1].back().level >= 3);
  CHECK(outcomes[0].summary.target_changes == 1);
  CHECK(outcomes[1].summary.target_changes == 2);
  CHECK(*outcomes[0].summary.met_share() > 0.99);
  CHECK(*outcomes[1].summary.met_share() > 0.99);
}

TEST_CASE("run_live: a paused application has no arrivals, and its schedule begins anew") {
  Rig rig;
  GoalChanges changes({"cam", "plate"});
  rig.inputs.changes = &changes;
  rig.inputs.look_s = 0.01;
  rig.add("cam", 5e-3, 10e-3);
  rig.add("plate", 5e-3, 10e-3);
  std::atomic<bool> seen_paused{false};
  rig.seen = [&](std::size_t app, const LiveRecord& record) {
    if (app != 0) return;
    if (record.index == 200) changes.pause("plate", true);
    if (record.index == 500) seen_paused = rig.board.read().apps[1].paused;
    if (record.index == 700) changes.pause("plate", false);
  };
  const auto outcomes = rig.run();
  CHECK(seen_paused);
  CHECK(outcomes[0].summary.arrivals() == 1000);
  CHECK(outcomes[1].summary.arrivals() > 480);
  CHECK(outcomes[1].summary.arrivals() < 520);
  CHECK(*outcomes[1].summary.met_share() == 1);  // a pause is no lateness
}

TEST_CASE("run_live: overrun abort gives up at the deadline, between two blocks") {
  Rig rig;
  rig.policy = make_policy("static:5");  // 3.3 ms, three times slower for a second
  OneApp& app = rig.add("cam", 5e-3, 6e-3);
  app.options.overrun = Overrun::abort;
  const double from_s = rig.clock.now_s() + 2;
  app.executor.slower = [from_s](double now_s) { return now_s > from_s && now_s < from_s + 1 ? 3 : 1; };
  const auto outcomes = rig.run();
  const RunSummary& summary = outcomes[0].summary;
  CHECK(summary.aborted > 100);
  CHECK(summary.skipped == 0);
  CHECK(summary.arrivals() == summary.completed + summary.aborted);
  CHECK(summary.met == summary.completed);
  for (const LiveRecord& record : rig.records[0]) {
    REQUIRE(record.latency_s() < 5e-3 + 1e-3 + 1e-9);  // a block takes 1 ms at most
    REQUIRE(record.met() != record.aborted);
    if (record.aborted) CHECK(record.predicted == -1);
  }
  CHECK(summary.to_json()["aborted"] == summary.aborted);
}

TEST_CASE("run_live: what stops the run stops all, marks them, and puts frequencies back") {
  Rig rig;
  FakeFrequencies control;
  rig.frequencies = &control;
  rig.platform.clusters = {cluster_of("cpu", 2, {1e9, 1.5e9, 2e9})};
  auto scripted = std::make_unique<Scripted>();
  scripted->choose = [](const SystemView&) { return Decision{}; };
  rig.policy = std::move(scripted);
  rig.add("cam", 5e-3, 10e-3);
  rig.add("plate", 5e-3, 1);
  rig.job.stop = [&] { return rig.clock.now_s() > 3; };
  const auto outcomes = rig.run();
  CHECK(outcomes[0].summary.interrupted);
  CHECK(outcomes[1].summary.interrupted);
  CHECK(outcomes[0].summary.duration_s < 3.2);
  CHECK(control.log == std::vector<std::string>{"set 0 0", "restore"});
}

TEST_CASE("run_live: a manager that is stuck holds up nobody else") {
  Rig rig;
  rig.other_clock = &monotonic_clock();
  auto scripted = std::make_unique<Scripted>();
  std::atomic<long> calls{0};
  scripted->choose = [&](const SystemView&) {
    if (++calls == 40) std::this_thread::sleep_for(std::chrono::milliseconds(400));
    Decision decision;
    for (AppChoice& choice : decision.apps) choice.level = 2;
    decision.opp.fill(kLeaveToGovernor);
    return decision;
  };
  rig.policy = std::move(scripted);
  rig.add("cam", 20e-3, 10e-3, 0.8);
  rig.add("plate", 20e-3, 10e-3, 0.8);
  const auto outcomes = rig.run();
  const std::int64_t undecided = outcomes[0].summary.undecided + outcomes[1].summary.undecided;
  CHECK(undecided > 3);
  CHECK(rig.board.read().undecided == undecided);
  for (const auto& [app, records] : rig.records)
    for (const LiveRecord& record : records)
      if (record.undecided && record.index > 0) CHECK(record.level == 2);
}

TEST_CASE("run_live: placements that fit side by side get cores of their own, and all when alone again") {
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  Rig rig;
  Cluster cluster = rig.platform.clusters[0];
  cluster.cpus.clear();
  for (int cpu = 0; cpu < CPU_SETSIZE && cluster.cpus.size() < 2; ++cpu)
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &allowed)) cluster.cpus.push_back(cpu);
  if (cluster.cpus.size() < 2) {
    MESSAGE("skipped: this process may use one CPU only");
    return;
  }
  rig.platform.clusters = {cluster};
  std::array<std::vector<int>, 2> counts;
  std::array<cpu_set_t, 2> middle{};
  rig.add("cam", 5e-3, 10e-3);
  rig.add("plate", 5e-3, 10e-3, 5);
  for (std::size_t a = 0; a < 2; ++a) {
    rig.apps[a].executor.before = [&, a](long inference) {
      cpu_set_t own;
      sched_getaffinity(0, sizeof own, &own);
      counts[a].push_back(CPU_COUNT(&own));
      if (inference == 200) middle[a] = own;
    };
  }
  (void)rig.run();
  CHECK(CPU_COUNT(&middle[0]) == 1);
  CHECK(CPU_COUNT(&middle[1]) == 1);
  CHECK_FALSE(CPU_EQUAL(&middle[0], &middle[1]));
  CHECK(counts[0].back() == CPU_COUNT(&allowed));
  cpu_set_t after;
  sched_getaffinity(0, sizeof after, &after);
  CHECK(CPU_EQUAL(&after, &allowed));
}

TEST_CASE("run_live: a load sensor that fails is one warning, and latencies alone decide from then on") {
  Rig rig;
  FailingMonitor monitor;
  rig.load = &monitor;
  rig.add("cam", 5e-3, 10e-3);
  rig.add("plate", 5e-3, 10e-3);
  const auto outcomes = rig.run();
  CHECK(outcomes[0].summary.completed == 1000);
  CHECK(*outcomes[1].summary.met_share() > 0.99);
  REQUIRE(rig.job.warnings.size() == 1);
  CHECK(rig.job.warnings[0].find("deciding by latencies alone") != std::string::npos);
}

TEST_CASE("run_live: names twice, too many applications and nonsense are bad usage") {
  const auto code = [](const std::function<void(Rig&)>& spoil) {
    Rig rig;
    rig.add("cam", 5e-3, 10e-3, 0.1);
    spoil(rig);
    return error_of([&] { (void)rig.run(); }).code();
  };
  CHECK(code([](Rig& rig) { rig.add("cam", 5e-3, 10e-3); }) == ErrorCode::bad_usage);
  CHECK(code([](Rig& rig) { rig.add("plate", 0, 10e-3); }) == ErrorCode::bad_usage);
  CHECK(code([](Rig& rig) { rig.add("plate", 5e-3, 10e-3).options.start_s = -1; }) == ErrorCode::bad_usage);
  CHECK(code([](Rig& rig) {
          for (std::size_t i = 0; i < kMaxApps; ++i) rig.add(std::to_string(i), 5e-3, 10e-3);
        }) == ErrorCode::bad_usage);
  CHECK(code([](Rig& rig) {
          static GoalChanges others({"cam", "plate"});
          rig.inputs.changes = &others;
        }) == ErrorCode::bad_usage);
}

TEST_CASE("GoalSchedule: what is wrong in a file is named with its place") {
  const std::vector<std::string> names = {"cam"};
  const auto message = [&](const char* events) {
    const Json document = {
        {"schema", "dsn.schedule"}, {"schema_version", 1}, {"events", Json::parse(events)}};
    return error_of([&] { (void)GoalSchedule::parse(document, "s.json", names); }).message();
  };
  CHECK(message(R"([{"at_s": 1, "set": {"task": "door", "target_s": 1}}])").find("/events/0/set/task") !=
        std::string::npos);
  CHECK(message(R"([{"at_s": 1, "set": {"task": "cam", "target_s": 0}}])").find("/events/0/set/target_s") !=
        std::string::npos);
  CHECK(message(R"([{"at_s": 1, "set": {"task": "cam"}}])").find("/events/0/set") != std::string::npos);
  CHECK(message(R"([{"at_s": 2, "set": {"task": "cam", "paused": true}},
                    {"at_s": 1, "set": {"task": "cam", "paused": false}}])")
            .find("/events/1/at_s") != std::string::npos);
}

TEST_CASE("run_live: 24 hours in simulated time leave no memory and no file open, whatever happens in them") {
  Rig rig;
  constexpr double kHour = 3600, kHours = 24;
  GoalChanges changes({"cam", "plate"});
  rig.inputs.changes = &changes;
  rig.inputs.look_s = 60;
  rig.add("cam", 5e-3, 12, kHours * kHour);
  rig.add("plate", 2.5e-3, 15, kHours * kHour).options.overrun = Overrun::abort;
  for (OneApp& app : rig.apps)
    app.executor.slower = [](double now_s) { return std::fmod(now_s, kHour) < 1200 ? 2.0 : 1.0; };
  struct Use {
    std::size_t bytes = 0;
    int files = 0;
  };
  Use first, last;
  rig.seen = [&](std::size_t app, const LiveRecord& record) {
    if (app != 0) return;
    if (record.index % 75 == 0) changes.set_target("plate", record.index % 150 == 0 ? 2.5e-3 : 4e-3);
    if (record.index % 300 == 150) changes.pause("plate", true);
    if (record.index % 300 == 166) changes.pause("plate", false);
    if (record.index == 2 * 300) first = {mallinfo2().uordblks, open_files()};
    if (record.index == 24 * 300 - 10) last = {mallinfo2().uordblks, open_files()};
  };
  const auto outcomes = rig.run(false);
  CHECK(outcomes[0].summary.arrivals() == 24 * 300);
  CHECK(outcomes[1].summary.arrivals() > 4800);
  CHECK(outcomes[0].summary.switches > 24);
  CHECK(*outcomes[0].summary.met_share() > 0.95);
  CHECK(*outcomes[1].summary.met_share() > 0.9);
  REQUIRE(first.bytes > 0);
  CHECK(last.bytes <= first.bytes + 8192);  // not a byte per inference
  CHECK(last.files == first.files);
}

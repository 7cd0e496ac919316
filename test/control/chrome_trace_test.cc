// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/chrome_trace.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "board.h"
#include "dsn/core/schema_rules.h"

using namespace dsn;
using namespace dsn::test;

namespace {

struct Rig {
  RunBoard board;
  Json events = Json::array();
  ChromeTrace trace{board, [this](const Json& event) { events.push_back(event); }};

  // Events whose name begins so.
  [[nodiscard]] std::vector<Json> named(const std::string& name) const {
    std::vector<Json> found;
    for (const Json& event : events)
      if (event["name"].get<std::string>().starts_with(name)) found.push_back(event);
    return found;
  }
};

void check_format(const Json& events) {
  const SchemaRules rules(read_json(fs::path(DSN_TEST_DATA) / "chrome-trace.schema.json"), "chrome trace");
  rules.check(events, "trace");
}

// Slices of a track may touch, but not overlap: a viewer would draw one inside the other.
void check_slices(const Json& events) {
  std::map<std::pair<int, int>, std::vector<std::pair<double, double>>> tracks;
  for (const Json& event : events) {
    if (event["ph"] == "X") tracks[{event["pid"], event["tid"]}].push_back({event["ts"], event["dur"]});
  }
  for (auto& [track, slices] : tracks) {
    std::sort(slices.begin(), slices.end());
    for (std::size_t i = 1; i < slices.size(); ++i)
      CHECK(slices[i - 1].first + slices[i - 1].second <= slices[i].first + 1e-3);
  }
  CHECK_FALSE(tracks.empty());
}

LiveRecord record_of(std::int64_t index, double scheduled_s, double start_s, double done_s, int level) {
  LiveRecord record;
  record.index = index;
  record.scheduled_s = scheduled_s;
  record.start_s = start_s;
  record.done_s = done_s;
  record.target_s = 0.005;
  record.level = level;
  return record;
}

}  // namespace

TEST_CASE("ChromeTrace: applications and clusters are named tracks, inferences slices, changes instants") {
  Rig rig;
  rig.trace.add(0, record_of(0, 0, 0.001, 0.002, 1));
  rig.trace.sample();
  CHECK(rig.events.empty());  // the run has not begun: there are no names yet

  begin_two_apps(rig.board);
  rig.trace.sample();  // warming up: nothing to show
  rig.trace.add(0, record_of(0, 0, 0.001, 0.004, 1));
  rig.trace.add(1, record_of(0, 0.0005, 0.001, 0.0035, 0));
  rig.trace.add(0, record_of(1, 0.0025, 0.0041, 0.009, 1));  // arrived while the first ran; 6.5 ms: missed
  LiveRecord skipped = record_of(2, 0.006, 0, 0, 1);
  skipped.skipped = true;
  rig.trace.add(0, skipped);
  LiveRecord last = record_of(3, 0.010, 0.0102, 0.0115, 0);
  last.feasible = false;
  last.placement = 1;
  rig.trace.add(0, last);
  RunState state = two_apps_state();
  state.now_s = 0.004;
  state.clusters[0].opp = 0;
  rig.board.publish(state);
  rig.trace.sample();
  state.now_s = 0.008;
  state.clusters[0].opp = 1;
  rig.board.publish(state);
  rig.trace.sample();
  state.now_s = 0.012;
  rig.board.publish(state);
  rig.trace.finish();

  check_format(rig.events);
  check_slices(rig.events);
  const auto tracks = rig.named("thread_name");
  REQUIRE(tracks.size() == 4);
  CHECK(tracks[0]["args"]["name"] == "cam");
  CHECK(tracks[2]["args"]["name"] == "big");
  CHECK(tracks[0]["pid"] != tracks[2]["pid"]);

  const auto inferences = rig.named("level");
  REQUIRE(inferences.size() == 4);
  CHECK(inferences[0]["name"] == "level 1");
  CHECK(inferences[0]["ts"] == 1000);
  CHECK(inferences[0]["dur"] == 3000);
  CHECK(inferences[0]["tid"] == tracks[0]["tid"]);
  CHECK(inferences[1]["tid"] == tracks[1]["tid"]);
  const auto waits = rig.named("wait");
  REQUIRE(waits.size() == 4);
  CHECK(waits[2]["ts"] == 4000);  // not from its arrival, when the one before still ran
  REQUIRE(rig.named("deadline missed").size() == 1);
  CHECK(rig.named("deadline missed")[0]["args"]["frame"] == 1);
  CHECK(rig.named("skipped").size() == 1);

  const auto decisions = rig.named("decision");
  REQUIRE(decisions.size() == 3);  // the first of each application, and the one change
  CHECK(decisions[2]["name"] == "decision: level 1 to 0, to big, 2 threads, infeasible");
  const auto points = rig.named("1.");
  REQUIRE(points.size() == 2);
  CHECK(points[0]["name"] == "1.00 GHz");
  CHECK(points[0]["dur"] == 8000);
  CHECK(points[1]["dur"] == 4000);
}

TEST_CASE("ChromeTrace: counters of what is known, when it changes") {
  Rig rig;
  begin_two_apps(rig.board);
  RunState state = two_apps_state();
  for (int i = 0; i < 5; ++i) {
    state.now_s = i;
    if (i == 3) state.clusters[0].temp_c = 70;
    rig.board.publish(state);
    rig.trace.sample();
  }
  check_format(rig.events);
  REQUIRE(rig.named("big: temperature").size() == 2);
  CHECK(rig.named("big: temperature")[1]["ts"] == 3e6);
  CHECK(rig.named("big: temperature")[1]["args"]["C"] == 70);
  CHECK(rig.named("big: frequency").size() == 1);
  CHECK(rig.named("big: OPP").size() == 1);
  CHECK(rig.named("LITTLE: temperature").empty());
  CHECK(rig.named("LITTLE: frequency").empty());
  CHECK_FALSE(rig.named("power").empty());
}

TEST_CASE("ChromeTrace: several applications and a sampler write at once") {
  Rig rig;
  begin_two_apps(rig.board);
  rig.board.publish(two_apps_state());
  const auto work = [&](std::size_t app) {
    for (int i = 0; i < 500; ++i)
      rig.trace.add(app, record_of(i, i * 0.01, i * 0.01 + 0.001, i * 0.01 + 0.004, i % 2));
  };
  std::thread cam(work, 0), plate(work, 1), sampler([&] {
    for (int i = 0; i < 100; ++i) rig.trace.sample();
  });
  cam.join();
  plate.join();
  sampler.join();
  rig.trace.finish();
  check_format(rig.events);
  check_slices(rig.events);
  CHECK(rig.named("level").size() == 1000);
}

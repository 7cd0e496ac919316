// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/run_control.h"

#include <doctest/doctest.h>

#include <thread>

#include "../fakes/temp_folder.h"
#include "board.h"
#include "dsn/control/line_server.h"
#include "dsn/core/random.h"
#include "raw_client.h"

using namespace dsn;
using namespace dsn::fakes;
using namespace dsn::test;

namespace {

struct Rig {
  GoalChanges changes{{"cam", "plate"}};
  RunBoard board;
  int stops = 0;
  RunControl control{changes, board, [this] { ++stops; }};
  Json ask(const std::string& line) { return Json::parse(control.answer(line)); }
};

// A line that no request is: words, broken JSON, wrong types, any bytes.
std::string malformed(Rng& rng) {
  static const std::vector<std::string> kSeeds = {
      R"({"command": "set-target", "app": "cam", "target_s": 0.012})",
      R"({"command": "set-min-accuracy", "app": "plate", "min_accuracy": 0.9})",
      R"({"command": "stop"})",
      "set-target cam 12ms",
      "[[[[[[[[",
      "null",
      "{}",
      "\"stop\""};
  std::string line = kSeeds[rng.below(kSeeds.size())];
  for (std::uint64_t i = 0; i < 1 + rng.below(4); ++i) {
    char byte = static_cast<char>(rng.below(256));
    if (byte == '\n') byte = ' ';
    line[rng.below(line.size())] = byte;
  }
  return line + '}';  // whatever the changes did, this is one too many
}

}  // namespace

TEST_CASE("RunControl: changes reach the run, by name or for the only application") {
  Rig rig;
  CHECK(rig.ask(R"({"command": "set-target", "app": "plate", "target_s": 0.012})") == Json{{"ok", true}});
  CHECK(rig.ask(R"({"command": "set-min-accuracy", "app": "plate", "min_accuracy": 0.9})")["ok"] == true);
  CHECK(rig.ask(R"({"command": "set-priority", "app": "plate", "priority": 3})")["ok"] == true);
  CHECK(rig.ask(R"({"command": "pause"})")["ok"] == true);
  CHECK(rig.ask(R"({"command": "resume", "app": "cam"})")["ok"] == true);
  const GoalChange plate = rig.changes.take(1);
  CHECK(plate.target_s == 0.012);
  CHECK(plate.min_accuracy == 0.9);
  CHECK(plate.priority == 3);
  CHECK(plate.paused == true);
  const GoalChange cam = rig.changes.take(0);
  CHECK_FALSE(cam.target_s);
  CHECK(cam.paused == false);
  CHECK(rig.stops == 0);
  CHECK(rig.ask(R"({"command": "stop"})")["ok"] == true);
  CHECK(rig.stops == 1);

  GoalChanges only({"cam"});
  const RunControl alone(only, rig.board, [] {});
  CHECK(Json::parse(alone.answer(R"({"command": "set-target", "target_s": 1})"))["ok"] == true);
  CHECK(only.take(0).target_s == 1.0);
}

TEST_CASE("RunControl: an unknown application is named with those that there are, and nothing changes") {
  Rig rig;
  const Json unknown = rig.ask(R"({"command": "set-target", "app": "kam", "target_s": 1})");
  CHECK(unknown["ok"] == false);
  CHECK(unknown["error"] == "no application \"kam\"; this run has cam, plate");
  CHECK(rig.ask(R"({"command": "set-target", "target_s": 1})")["error"] ==
        "request: no \"app\", expected one of cam, plate");
  CHECK(rig.ask(R"({"command": "set-target", "app": "cam", "target_s": 0})")["ok"] == false);
  CHECK_FALSE(rig.changes.take(0).any());
  CHECK_FALSE(rig.changes.take(1).any());
}

TEST_CASE(
    "RunControl: ten thousand malformed lines over the socket, one refusal each, and then it still works") {
  Rig rig;
  const TempFolder temp;
  const LineServer server(temp / "s", [&](std::string_view line) { return rig.control.answer(line); });
  constexpr std::size_t kLines = 10000;
  RawClient client(temp / "s");
  std::thread sender([&] {
    Rng rng(7);
    for (std::size_t i = 0; i < kLines; ++i) client.send(malformed(rng) + '\n');
  });
  const auto answers = client.lines(kLines);
  sender.join();
  REQUIRE(answers.size() == kLines);
  std::size_t refused = 0;
  for (const std::string& answer : answers) {
    const Json json = Json::parse(answer, nullptr, false);
    refused +=
        json.is_object() && json.value("ok", true) == false && !json["error"].get<std::string>().empty();
  }
  CHECK(refused == kLines);
  CHECK(rig.stops == 0);
  CHECK_FALSE(rig.changes.take(0).any());
  LineClient other(temp / "s", kPatience);
  CHECK(Json::parse(other.ask(R"({"command": "set-target", "app": "cam", "target_s": 0.5})"))["ok"] == true);
  CHECK(rig.changes.take(0).target_s == 0.5);
}

TEST_CASE(
    "status_of: what a run publishes, by dsn.status's rules, before it begins, while it runs and after") {
  Rig rig;
  const Json before = rig.ask(R"({"command": "status"})")["status"];
  check_schema(before, "dsn.status", "status");
  CHECK(before["running"] == false);

  begin_two_apps(rig.board);
  check_schema(status_of(rig.board), "dsn.status", "status");  // warming up: nothing was measured yet
  CHECK(status_of(rig.board)["apps"][0]["latency_s"] == nullptr);

  rig.board.publish(two_apps_state());
  const Json status = rig.ask(R"({"command": "status"})")["status"];
  check_schema(status, "dsn.status", "status");
  CHECK(status["running"] == true);
  CHECK(status["policy"] == "dsn");
  const Json& cam = status["apps"][0];
  CHECK(cam["name"] == "cam");
  CHECK(cam["level"] == 1);
  CHECK(cam["level_accuracy"] == 0.93);
  CHECK(cam["placement"] == "big, 2 threads");
  CHECK(cam["met_share"] == doctest::Approx(0.95));
  CHECK(cam["latency_mean_s"] == doctest::Approx(0.004));
  CHECK(status["apps"][1]["paused"] == true);
  CHECK(status["apps"][1]["met_share"] == nullptr);
  CHECK(status["apps"][1]["met_share_reason"] == "no frame arrived yet");
  CHECK(status["clusters"][0]["freq_hz"] == 1.5e9);
  CHECK(status["clusters"][1]["freq_hz"] == nullptr);
  CHECK(status["clusters"][0]["temp_c"] == 61.5);
  CHECK(status["decisions"]["undecided"] == 2);

  RunState ended = two_apps_state();
  ended.ended = true;
  rig.board.publish(ended);
  CHECK(status_of(rig.board)["running"] == false);
}

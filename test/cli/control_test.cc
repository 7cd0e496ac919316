// SPDX-License-Identifier: Apache-2.0
// dsn ctl, against a run that this program pretends to be; and dsn run watched and steered from outside.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>

#include "control/board.h"
#include "control/exposition.h"
#include "control/raw_client.h"
#include "dsn/control/line_server.h"
#include "dsn/control/run_control.h"
#include "dsn/core/schema_rules.h"
#include "fakes/small_bundle.h"
#include "fakes/temp_folder.h"
#include "process.h"
#include "small_images.h"

using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;

namespace {

// What a run with a socket is to dsn ctl.
struct PretendedRun {
  dsn::fakes::TempFolder temp;
  dsn::GoalChanges changes{{"cam", "plate"}};
  dsn::RunBoard board;
  int stops = 0;
  dsn::RunControl control{changes, board, [this] { ++stops; }};
  std::string socket = temp / "dsn.sock";
  dsn::LineServer server{socket, [this](std::string_view line) { return control.answer(line); }};
  Outcome ctl(std::vector<std::string> args) {
    args.insert(args.begin(), {"ctl", "--socket", socket});
    return dsn_tool(args);
  }
};

// A bundle of two levels for this machine's elastic engine, images for it, and a run of them.
struct RealRun {
  dsn::fakes::TempFolder temp;
  dsn::fakes::SmallBundle bundle = dsn::fakes::write_small_bundle(temp.path(), {"elastic"});
  std::string socket = temp / "dsn.sock";
  RealRun() { write_small_images(temp / "images"); }
  [[nodiscard]] std::vector<std::string> args(const std::vector<std::string>& more) const {
    std::vector<std::string> all{"run",
                                 bundle.path,
                                 "--input",
                                 "idx:" + (temp / "images").string(),
                                 "--platform",
                                 bundle.platform,
                                 "--fps",
                                 "50",
                                 "--target-latency",
                                 "60s",
                                 "--duration",
                                 "40s"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

// Columns: code points of UTF-8.
int width_of(const std::string& line) {
  return static_cast<int>(std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Lines that a view drew, without those it took back; checks that it takes back what it drew and nothing
// else.
std::size_t check_redraws(const std::string& err, int columns, int columns_then) {
  const std::regex back("\033\\[([0-9]+)A\r\033\\[J");
  std::size_t redraws = 0;
  auto from = err.cbegin();
  for (std::smatch match; std::regex_search(from, err.cend(), match, back); ++redraws) {
    const std::string before = match.prefix().str();
    const auto rows = std::stol(match[1].str());
    // A terminal that became narrower has broken lines in two.
    const long most = (columns + columns_then - 1) / columns_then;
    CHECK(most * std::count(before.begin(), before.end(), '\n') >= rows);
    from = match[0].second;
  }
  return redraws;
}

}  // namespace

TEST_CASE("dsn ctl: commands reach the run, in people's units") {
  PretendedRun run;
  Outcome outcome = run.ctl({"set-target", "cam", "12ms"});
  CHECK_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(outcome.out.empty());
  CHECK(run.ctl({"set-min-accuracy", "cam", "92%"}).status == 0);
  outcome = run.ctl({"set-priority", "plate", "3", "--json"});
  CHECK(outcome.status == 0);
  CHECK(Json::parse(outcome.out)["ok"] == true);
  CHECK(run.ctl({"pause"}).status == 0);
  CHECK(run.ctl({"resume", "plate"}).status == 0);
  const dsn::GoalChange cam = run.changes.take(0), plate = run.changes.take(1);
  CHECK(cam.target_s == 0.012);
  CHECK(cam.min_accuracy == 0.92);
  CHECK(cam.paused == true);
  CHECK(plate.priority == 3);
  CHECK(plate.paused == false);
  CHECK(run.ctl({"stop"}).status == 0);
  CHECK(run.stops == 1);
}

TEST_CASE("dsn ctl: what cannot be done is one line, and changes nothing") {
  PretendedRun run;
  const auto refused = [&](const std::vector<std::string>& args, const std::string& part) {
    const Outcome outcome = run.ctl(args);
    CHECK(outcome.status == 2);
    CHECK(is_one_error(outcome.err, "dsn ctl"));
    CHECK_MESSAGE(has(outcome.err, part), outcome.err);
  };
  refused({"set-target", "kam", "12ms"}, "no application \"kam\"; this run has cam, plate");
  refused({"set-target", "cam", "12"}, "12");
  refused({"set-target", "cam", "0s"}, "more than 0");
  refused({"set-target"}, "expected set-target [APP] VALUE");
  refused({"set-target", "12ms"}, "no \"app\", expected one of cam, plate");
  refused({"set-priority", "cam", "high"}, "expected a whole number");
  refused({"status", "cam"}, "expected status");
  refused({"explode"}, "expected one of set-target");
  CHECK_FALSE(run.changes.take(0).any());
  const Outcome none = dsn_tool({"ctl", "--socket", run.temp / "none.sock", "status"});
  CHECK(none.status == 2);
  CHECK(has(none.err, "nothing listens there"));
}

TEST_CASE("dsn ctl status: a table for people, dsn.status for machines") {
  PretendedRun run;
  Outcome outcome = run.ctl({"status"});
  CHECK(outcome.status == 0);
  CHECK(outcome.out == "the run has not begun\n");
  begin_two_apps(run.board);
  run.board.publish(two_apps_state());
  outcome = run.ctl({"status"});
  CHECK(outcome.status == 0);
  for (const char* part :
       {"10.0 s, policy dsn, 98 decisions, 2 missing, 4.50 W", "cam", "4.00 ms", "5.00 ms", "95.0 %", "1.25",
        "big, 2 threads", "paused", "1.50 GHz", "2.25 W", "62 °C", "governor"})
    CHECK_MESSAGE(has(outcome.out, part), outcome.out);
  outcome = run.ctl({"status", "--json"});
  dsn::check_schema(Json::parse(outcome.out), "dsn.status", "status");
}

TEST_CASE("dsn run --socket: targets change while it runs, nonsense does not stop it, ctl does") {
  const RealRun run;
  const std::string metrics = run.temp / "dsn.prom", trace = run.temp / "trace.json",
                    log = run.temp / "log.jsonl";
  ProcessOptions options;
  options.signals = {0};
  std::int64_t before = 0;
  Json changed;
  const auto ask = [&](const std::string& line) {
    return Json::parse(dsn::LineClient(run.socket, kPatience).ask(line))["status"];
  };
  const std::string status = R"({"command": "status"})";
  bool asked = false;
  options.ready = [&](const std::string&) {
    if (!dsn::fs::exists(run.socket)) return false;
    if (!asked) {
      const Json now = ask(status);
      if (!now["running"].get<bool>() || now["apps"][0]["completed"] < 20) return false;
      before = now["apps"][0]["completed"].get<std::int64_t>();
      RawClient nonsense(run.socket);
      for (int i = 0; i < 1000; ++i) nonsense.send("set-target all 1ms \xff{{{\n");
      CHECK(nonsense.lines(1000).size() == 1000);
      CHECK(dsn_tool({"ctl", "--socket", run.socket, "set-target", "250ms"}).status == 0);
      asked = true;
    }
    changed = ask(status);
    if (changed["apps"][0]["target_s"] != 0.25 || changed["apps"][0]["completed"] < before + 20) return false;
    return dsn_tool({"ctl", "--socket", run.socket, "stop"}).status == 0;
  };
  const Outcome outcome = dsn_tool(run.args({"--socket", run.socket, "--metrics", metrics, "--chrome-trace",
                                             trace, "--log", log, "--json"}),
                                   options);
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(has(outcome.err, "dsn ctl reaches this run at " + run.socket));
  CHECK_FALSE(dsn::fs::exists(run.socket));
  dsn::check_schema(changed, "dsn.status", "status");
  const Json report = Json::parse(outcome.out);
  CHECK(report["run"]["interrupted"] == true);
  const auto completed = report["run"]["completed"].get<std::int64_t>();
  CHECK(completed >= before + 20);
  CHECK(completed < 2000);

  const Exposition read(dsn::read_file(metrics));
  CHECK(read.value("dsn_running") == 0);
  double frames = 0;
  for (const Sample& sample : read.samples())
    if (sample.name == "dsn_frames_total" && sample.labels.at("result") == "completed") frames = sample.value;
  CHECK(frames == static_cast<double>(completed));

  const Json events = Json::parse(dsn::read_file(trace));
  dsn::SchemaRules(dsn::read_json(dsn::fs::path(DSN_TEST_DATA) / "chrome-trace.schema.json"), "chrome trace")
      .check(events, "trace");
  CHECK(std::count_if(events.begin(), events.end(), [](const Json& event) {
          return event["ph"] == "X" && event["name"].get<std::string>().starts_with("level");
        }) == completed);
  CHECK(lines_of(dsn::read_file(log)).size() >= static_cast<std::size_t>(completed));
}

TEST_CASE("dsn run on a terminal: a view that takes back its own lines, at any width, and leaves nothing") {
  const RealRun run;
  ProcessOptions options;
  options.terminal = true;
  options.signals = {0};
  for (const auto& [columns, then] : {std::pair{80, 80}, std::pair{30, 30}, std::pair{80, 40}}) {
    CAPTURE(columns);
    CAPTURE(then);
    options.columns = columns;
    options.columns_then = then;
    options.ready = [](const std::string& err) { return has(err, "\033[J"); };
    const Outcome outcome = dsn_tool(run.args({"--duration", "2s"}), options);
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    CHECK(has(outcome.err, "policy dsn"));
    CHECK(has(outcome.err, "cluster"));
    CHECK(has(outcome.err, "latency"));
    CHECK(check_redraws(outcome.err, columns, then) >= 2);
    const auto last = outcome.err.rfind("\033[J");
    REQUIRE(last != std::string::npos);
    CHECK_FALSE(has(outcome.err.substr(last), "cluster"));  // the last thing it did was to wipe
    if (columns != then) continue;
    for (std::string line :
         lines_of(std::regex_replace(outcome.err, std::regex("\033\\[[0-9]*[A-Za-z]"), ""))) {
      line.erase(0, line.find_last_of('\r', line.size() - 2) + 1);  // what the line was overwritten with
      if (!line.empty() && line.back() == '\r') line.pop_back();
      CHECK_MESSAGE(width_of(line) <= columns, line);
    }
  }
}

TEST_CASE("dsn run --quiet or --json on a terminal draws nothing") {
  const RealRun run;
  ProcessOptions options;
  options.terminal = true;
  for (const char* flag : {"--quiet", "--json"}) {
    const Outcome outcome = dsn_tool(run.args({"--duration", "1s", flag}), options);
    CHECK(outcome.status == 0);
    CHECK_FALSE(has(outcome.err, "cluster"));
  }
}

TEST_CASE("dsn run --watchdog: the same run, decided on a thread of its own") {
  const RealRun run;
  const Outcome outcome = dsn_tool(run.args({"--duration", "1s", "--watchdog", "5s", "--json"}));
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(Json::parse(outcome.out)["run"]["completed"] == 50);
  CHECK(has(dsn_tool(run.args({"--watchdog", "0s"})).err, "expected more than 0"));
  CHECK(has(dsn_tool(run.args({"--watchdog", "1s", "--safe-setting", "dsn"})).err, "static:LEVEL"));
}

// SPDX-License-Identifier: Apache-2.0
// dsn run with several applications: the real binary, a drawn network, the elastic engine.
#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "dsn/core/file.h"
#include "dsn/core/json.h"
#include "fakes/small_bundle.h"
#include "fakes/temp_folder.h"
#include "process.h"
#include "small_images.h"

using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;

namespace {

struct Board {
  dsn::fakes::TempFolder temp;
  dsn::fakes::SmallBundle bundle = dsn::fakes::write_small_bundle(temp / "", {"elastic"});
  std::string input = "idx:" + (temp / "images").string();
  Board() { write_small_images(temp / "images"); }

  [[nodiscard]] std::string app(const std::string& name, const std::string& more = {}) const {
    return name + "=" + bundle.path.string() + ",input=" + input + more;
  }
  [[nodiscard]] std::vector<std::string> args(std::vector<std::string> more) const {
    std::vector<std::string> all = {"run", "--platform", bundle.platform.string(), "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

}  // namespace

TEST_CASE("dsn run --app: two applications, one report with both, one copy of the weights they share") {
  const Board board;
  const std::string log = board.temp / "log.jsonl";
  const Outcome both = dsn_tool(board.args({"--app", board.app("cam", ",target=60s,frames=40"), "--app",
                                            board.app("plate", ",target=50s,fps=50,frames=10,overrun=abort"),
                                            "--log", log, "--min-met", "1"}));
  REQUIRE_MESSAGE(both.status == 0, both.err);
  const Json report = Json::parse(both.out);
  dsn::check_schema(report, "dsn.report", "report");
  REQUIRE(report["runs"].size() == 2);
  CHECK_FALSE(report.contains("run"));
  CHECK(report["runs"][0]["name"] == "cam");
  CHECK(report["runs"][0]["completed"] == 40);
  CHECK(report["runs"][0]["settings"]["period_s"].is_null());
  CHECK(report["runs"][1]["completed"] == 10);
  CHECK(report["runs"][1]["settings"]["overrun"] == "abort");
  CHECK(report["runs"][1]["target_s"] == 50.0);
  std::map<std::string, int> lines;
  for (const std::string& line : lines_of(dsn::read_file(log))) ++lines[Json::parse(line)["app"]];
  CHECK(lines == std::map<std::string, int>{{"cam", 40}, {"plate", 10}});

  const Outcome alone = dsn_tool(board.args(
      {board.bundle.path.string(), "--input", board.input, "--target-latency", "60s", "--frames", "5"}));
  REQUIRE_MESSAGE(alone.status == 0, alone.err);
  const Json single = Json::parse(alone.out);
  dsn::check_schema(single, "dsn.report", "report");
  CHECK(single["run"]["name"] == "app");
  CHECK(report["memory"]["weights_bytes"] == single["memory"]["weights_bytes"]);
  CHECK(report["memory"]["work_bytes"].get<double>() > single["memory"]["work_bytes"].get<double>());
}

TEST_CASE(
    "dsn run: a bundle removed while it runs does nothing; SIGTERM ends all applications with a report") {
  const Board board;
  std::optional<std::chrono::steady_clock::time_point> removed;
  ProcessOptions options;
  options.signals = {SIGTERM};
  options.ready = [&](const std::string& err) {
    if (!removed && has(err, "running")) {
      dsn::fs::remove_all(board.bundle.path);
      removed = std::chrono::steady_clock::now();
    }
    return removed && std::chrono::steady_clock::now() - *removed > std::chrono::milliseconds(500);
  };
  const Outcome outcome =
      dsn_tool(board.args({"--app", board.app("cam", ",target=20s,fps=100"), "--app",
                           board.app("plate", ",target=20s,fps=20"), "--duration", "30s"}),
               options);
  CHECK(outcome.status == 143);
  REQUIRE(removed);
  const Json report = Json::parse(outcome.out);
  dsn::check_schema(report, "dsn.report", "report");
  for (const Json& run : report["runs"]) {
    CHECK(run["interrupted"] == true);
    CHECK(run["duration_s"].get<double>() < 20);
    CHECK_FALSE(run.contains("failure"));
  }
  CHECK(report["runs"][0]["completed"].get<int>() > 20);
}

TEST_CASE("dsn run --schedule: targets change at their time") {
  const Board board;
  const std::string file = board.temp / "schedule.json";
  dsn::write_file_atomic(file, R"({"schema": "dsn.schedule", "schema_version": 1, "events": [
    {"at_s": 0.1, "set": {"task": "cam", "target_s": 30}}]})");
  const Outcome outcome =
      dsn_tool(board.args({"--app", board.app("cam", ",target=20s,fps=100,frames=20"), "--app",
                           board.app("plate", ",target=20s,fps=100,frames=20"), "--schedule", file}));
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  const Json report = Json::parse(outcome.out);
  CHECK(report["runs"][0]["target_changes"] == 1);
  CHECK(report["runs"][1]["target_changes"] == 0);
  dsn::write_file_atomic(file, R"({"schema": "dsn.schedule", "schema_version": 1, "events": [
    {"at_s": 0.1, "set": {"task": "door", "target_s": 30}}]})");
  const Outcome refused =
      dsn_tool(board.args({"--app", board.app("cam", ",target=20s"), "--schedule", file}));
  CHECK(refused.status == 2);
  CHECK(is_one_error(refused.err, "dsn run"));
  CHECK(has(refused.err, "/events/0/set/task"));
}

TEST_CASE("dsn run --app: nonsense is refused in one line that names it, before anything runs") {
  const Board board;
  const auto refused = [&](const std::vector<std::string>& args, int status, const std::string& part) {
    const Outcome outcome = dsn_tool(board.args(args));
    CAPTURE(outcome.err);
    CHECK(outcome.status == status);
    CHECK(is_one_error(outcome.err, "dsn run"));
    CHECK(has(outcome.err, part));
    CHECK(outcome.out.empty());
  };
  refused({"--app", board.app("cam", ",target=0ms")}, 2, "latency target");
  refused({"--app", board.app("cam", ",target=5")}, 2, "--app cam, target");
  refused({"--app", board.app("cam", ",target=5ms,fps=0")}, 2, "--app cam, fps");
  refused({"--app", board.app("cam", ",target=5ms,fsp=3")}, 2, "fsp=3");
  refused({"--app", board.app("cam", ",target=5ms,target=6ms")}, 2, "target is given twice");
  refused({"--app", board.app("cam", ",target=5ms,overrun=wait")}, 2, "expected skip, queue or abort");
  refused({"--app", board.app("cam")}, 2, "target= is missing");
  refused({"--app", "cam"}, 2, "NAME=BUNDLE");
  refused({"--app", board.app("cam", ",target=9s"), "--app", board.app("cam", ",target=9s")}, 2,
          "two applications are named \"cam\"");
  refused({"--app", board.app("cam", ",target=9s"), "--app", board.app("plate", ",target=1us")}, 3,
          "application plate: no level meets");
  refused({"--app", board.app("cam", ",target=9s"), board.bundle.path.string()}, 2, "--app excludes BUNDLE");
  refused({"--input", board.input, "--target-latency", "5ms"}, 2, "BUNDLE is required");
  refused({"--app", board.app("cam", ",target=9s,start=20s"), "--duration", "10s"}, 2, "after the run's end");
}

// SPDX-License-Identifier: Apache-2.0
// What holds for every subcommand: help, version, usage errors, streams, colours.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fakes/temp_folder.h"
#include "process.h"

using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;

TEST_CASE("dsn without a command: help on stderr, nothing on stdout, exit 2") {
  const Outcome outcome = dsn_tool({});
  CHECK(outcome.status == 2);
  CHECK(outcome.out.empty());
  for (const char* command : {"train", "import", "eval", "profile", "search", "compare", "export", "run",
                              "ctl", "replay", "platform", "doctor", "restore"}) {
    CHECK_MESSAGE(has(outcome.err, command), command);
  }
}

TEST_CASE("dsn --version: version, commit and features on stdout") {
  const Outcome outcome = dsn_tool({"--version"});
  CHECK(outcome.status == 0);
  CHECK(outcome.err.empty());
  CHECK(outcome.out.rfind("dsn 0.", 0) == 0);
  CHECK_FALSE(has(outcome.out, "@"));  // what the build puts in was put in
  for (const char* line : {"commit: ", "build: ", "sanitizers: ", "LibTorch: ", "OpenCV: "})
    CHECK_MESSAGE(has(outcome.out, std::string("\n") + line), line);
  CHECK(has(outcome.out, "executors: "));
}

TEST_CASE("dsn COMMAND --help: on stdout, ends in two examples of that command") {
  std::vector<std::string> commands{"import", "profile", "search",   "export", "run",    "ctl",
                                    "replay", "trace",   "platform", "doctor", "restore"};
  if (has(dsn_tool({"--version"}).out, "LibTorch: yes")) commands.insert(commands.end(), {"train", "eval"});
  for (const std::string& command : commands) {
    CAPTURE(command);
    const Outcome outcome = dsn_tool({command, "--help"});
    CHECK(outcome.status == 0);
    CHECK(outcome.err.empty());
    auto lines = lines_of(outcome.out);
    while (!lines.empty() && lines.back().empty()) lines.pop_back();
    REQUIRE(lines.size() > 3);
    CHECK(lines[lines.size() - 3] == "Examples:");
    CHECK(has(lines[lines.size() - 2], "dsn " + command));
    CHECK(has(lines[lines.size() - 1], "dsn " + command));
    CHECK(has(outcome.out, "--json"));
  }
}

TEST_CASE("an unknown option or command is named, with the one that was probably meant") {
  Outcome outcome = dsn_tool({"run", "bundle", "--input", "x", "--target-latensy", "5ms"});
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn run"));
  CHECK(has(outcome.err, "did you mean --target-latency?"));

  outcome = dsn_tool({"run", "bundle", "--input", "x", "--target-latency", "5ms", "--treads", "2"});
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn run"));
  CHECK(has(outcome.err, "did you mean --threads?"));

  outcome = dsn_tool({"rplay"});
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn"));
  CHECK(has(outcome.err, "did you mean replay?"));
}

TEST_CASE("a missing required flag is named") {
  const Outcome outcome = dsn_tool({"export", "--supernet", "a"});
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn export"));
  CHECK(has(outcome.err, "--out"));
}

TEST_CASE("a bare number for a duration is an error that shows units") {
  const Outcome outcome = dsn_tool({"run", "bundle", "--input", "x", "--target-latency", "5"});
  CHECK(outcome.status == 2);
  CHECK(outcome.out.empty());
  CHECK(is_one_error(outcome.err, "dsn run"));
  CHECK(has(outcome.err, "--target-latency"));
  CHECK(has(outcome.err, "ms"));
}

TEST_CASE("dsn platform: a table for people, and with --json the document alone") {
  Outcome outcome = dsn_tool({"platform"});
  CHECK(outcome.status == 0);
  CHECK(has(outcome.out, "cluster"));
  CHECK_FALSE(has(outcome.out, "\033"));

  outcome = dsn_tool({"platform", "--json"});
  CHECK(outcome.status == 0);
  const Json document = Json::parse(outcome.out, nullptr, false);
  REQUIRE(document.is_object());
  CHECK(document["schema"] == "dsn.platform");
  CHECK_FALSE(document["clusters"].empty());
}

TEST_CASE("dsn platform --out: what it writes it can read") {
  const dsn::fakes::TempFolder temp;
  const std::string file = temp / "here.platform.json";
  CHECK(dsn_tool({"platform", "--out", file}).status == 0);
  const Outcome outcome = dsn_tool({"platform", file, "--json"});
  CHECK(outcome.status == 0);
  CHECK(Json::parse(outcome.out)["schema"] == "dsn.platform");
}

TEST_CASE("a result that stdout cannot take is a failure") {
  const Outcome outcome = dsn_tool({"platform"}, {.out = "/dev/full"});
  CHECK(outcome.status == 1);
  CHECK(has(outcome.err, "dsn platform: error: cannot write to standard output"));
}

TEST_CASE("an output that cannot be written is told at once") {
  const dsn::fakes::TempFolder temp;
  const Outcome outcome = dsn_tool({"platform", "--out", temp.path() / "nowhere" / "p.json"});
  CHECK(outcome.status == 2);
  CHECK(outcome.out.empty());
  CHECK(is_one_error(outcome.err, "dsn platform"));
  CHECK(has(outcome.err, "nowhere"));
}

TEST_CASE("colours are for terminals, and NO_COLOR turns them off there") {
  Outcome outcome = dsn_tool({"platform", "nowhere.json"}, {.terminal = true});
  CHECK(outcome.status == 2);
  CHECK(has(outcome.err, "\033[31merror:"));
  outcome = dsn_tool({"platform", "nowhere.json"}, {.env = {{"NO_COLOR", "1"}}, .terminal = true});
  CHECK_FALSE(has(outcome.err, "\033["));
  CHECK_FALSE(has(dsn_tool({"platform", "nowhere.json"}).err, "\033["));
}

TEST_CASE("without LibTorch, train and search say so and exit 4, whatever they are asked") {
  if (has(dsn_tool({"--version"}).out, "LibTorch: yes")) return;
  for (const std::string& command : {std::string("train"), std::string("eval"), std::string("search")}) {
    CAPTURE(command);
    const Outcome outcome = dsn_tool({command, "--data", "fashion-mnist", "--out", "x"});
    CHECK(outcome.status == 4);
    CHECK(outcome.out.empty());
    CHECK(is_one_error(outcome.err, "dsn " + command));
    CHECK(has(outcome.err, "LibTorch"));
    CHECK(has(outcome.err, "-Dtorch=enabled"));
  }
}

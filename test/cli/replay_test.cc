// SPDX-License-Identifier: Apache-2.0
// dsn replay: reproducible, strict about traces, and stopped cleanly.
#include <doctest/doctest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fakes/bundle_parts.h"
#include "fakes/temp_folder.h"
#include "process.h"

using dsn::fakes::TempFolder;
using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

// A camera at 100 frames per second beside a busy neighbour.
Json trace_of(double duration_s) {
  Json trace = Json::parse(R"({
    "schema": "dsn.trace", "schema_version": 1, "global": {"seed": 3},
    "tasks": {
      "camera": {"family": "family.json", "lut": "family.lut.json", "target_s": 0.008,
                 "phases": [{"arrivals": {"process": "periodic", "period_s": 0.01, "jitter_s": 0.001}}]},
      "neighbour": {"kind": "contender",
                    "phases": [{"start_s": 0.1, "cluster": "cpu", "threads": 2, "run_s": 0.004, "period_s": 0.01}]}}})");
  trace["global"]["duration_s"] = duration_s;
  return trace;
}

fs::path write_trace(const TempFolder& temp, const Json& trace) {
  dsn::fakes::write_parts(temp.path());
  dsn::write_file_atomic(temp / "t.trace.json", trace.dump(1));
  return temp / "t.trace.json";
}

}  // namespace

TEST_CASE("dsn replay: the same seed gives the same bytes, whatever the number of threads") {
  const TempFolder temp;
  const std::string trace = write_trace(temp, trace_of(5));
  const auto replay = [&](const std::string& out, const std::string& threads, const std::string& seed) {
    return dsn_tool({"replay", trace, "--policy", "dsn,static:largest,performance,schedutil", "--seed", seed,
                     "--threads", threads, "--json", "--out", temp / out});
  };
  const Outcome one = replay("a.json", "1", "7");
  CHECK(one.status == 0);
  CHECK(one.out == dsn::read_file(temp / "a.json"));
  CHECK(Json::parse(one.out)["schema"] == "dsn.report");
  CHECK(replay("b.json", "4", "7").out == one.out);
  CHECK(replay("c.json", "1", "7").out == one.out);
  CHECK(replay("d.json", "1", "8").out != one.out);
}

TEST_CASE("dsn replay: a table with a row per policy") {
  const TempFolder temp;
  const Outcome outcome =
      dsn_tool({"replay", write_trace(temp, trace_of(2)), "--policy", "dsn,static:smallest"});
  CHECK(outcome.status == 0);
  const auto lines = lines_of(outcome.out);
  REQUIRE(lines.size() == 3);
  CHECK(has(lines[0], "deadlines met"));
  CHECK(lines[1].rfind("dsn ", 0) == 0);
  CHECK(lines[2].rfind("static:smallest ", 0) == 0);
}

TEST_CASE(
    "dsn replay --fail-if: exit 3 when a condition holds, with the report written; a wrong one is usage") {
  const TempFolder temp;
  const std::string trace = write_trace(temp, trace_of(2));
  const std::vector<std::string> base{
      "replay", trace, "--policy", "static:largest,static:smallest,oracle", "--out", temp / "r.json"};
  const auto gate = [&](std::vector<std::string> conditions) {
    std::vector<std::string> args = base;
    for (const std::string& condition : conditions) args.insert(args.end(), {"--fail-if", condition});
    return dsn_tool(args);
  };
  CHECK(
      gate({"static:smallest.deadline_miss>1", "static:largest.accuracy<static:smallest.accuracy"}).status ==
      0);
  const Outcome held = gate({"static:smallest.deadline_miss>1", "static:largest.camera.completed>=1"});
  CHECK(held.status == 3);
  CHECK(lines_of(held.err).back().rfind("dsn replay: error: --fail-if: static:largest.camera.completed>=1 ",
                                        0) == 0);
  CHECK_FALSE(has(held.err, "static:smallest.deadline_miss"));
  CHECK(Json::parse(dsn::read_file(temp / "r.json"))["conditions"].size() == 2);
  const Outcome wrong = gate({"static:largest.misses>1"});
  CHECK(wrong.status == 2);
  CHECK(has(wrong.err, "deadline_miss"));
}

TEST_CASE("dsn replay --html, --chrome-trace: files beside the same report") {
  const TempFolder temp;
  const std::string trace = write_trace(temp, trace_of(2));
  const Outcome plain = dsn_tool({"replay", trace, "--policy", "dsn,schedutil", "--json"});
  const Outcome drawn = dsn_tool({"replay", trace, "--policy", "dsn,schedutil", "--json", "--html",
                                  temp / "p.html", "--chrome-trace", temp / "c.json"});
  CHECK(drawn.status == 0);
  CHECK(drawn.out == plain.out);
  CHECK(has(dsn::read_file(temp / "p.html"), "uPlot"));
  CHECK(Json::parse(dsn::read_file(temp / "c.json"))["traceEvents"].size() > 100);
}

TEST_CASE("dsn trace: checks, draws, and imports what dsn replay then reads") {
  const TempFolder temp;
  const std::string trace = write_trace(temp, trace_of(2));
  const Outcome checked = dsn_tool({"trace", "check", trace});
  CHECK(checked.status == 0);
  CHECK(has(checked.out, "camera: 200 arrivals"));
  CHECK(dsn_tool({"trace", "plot", trace, "--out", temp / "t.html"}).status == 0);
  CHECK(has(dsn::read_file(temp / "t.html"), "<title>dsn trace: t.trace.json"));
  dsn::write_file_atomic(temp / "a.csv", "arrival_ms\n0\n20\n45\n90\n");
  const Outcome made =
      dsn_tool({"trace", "import", temp / "a.csv", "--format", "csv", "--family", "family.json", "--lut",
                "family.lut.json", "--target-latency", "10ms", "--out", temp / "a.trace.json"});
  CHECK_MESSAGE(made.status == 0, made.err);
  const Outcome replayed = dsn_tool({"replay", temp / "a.trace.json", "--policy", "dsn", "--json"});
  REQUIRE_MESSAGE(replayed.status == 0, replayed.err);
  CHECK(Json::parse(replayed.out)["policies"][0]["apps"][0]["arrivals"] == 4);
  Outcome refused = dsn_tool({"trace", "import", temp / "a.csv", "--family", "f", "--lut", "l"});
  CHECK(refused.status == 2);
  CHECK(has(refused.err, "--format"));
  refused = dsn_tool({"trace", "draw", trace});
  CHECK(refused.status == 2);
  CHECK(has(refused.err, "check, import or plot"));
  dsn::write_file_atomic(temp / "deep.trace.json", std::string(100000, '['));
  refused = dsn_tool({"trace", "check", temp / "deep.trace.json"});
  CHECK(refused.status == 2);
  CHECK(is_one_error(refused.err, "dsn trace"));
  std::ofstream(temp / "big.trace.json").close();
  fs::resize_file(temp / "big.trace.json", std::uintmax_t{1} << 30);  // sparse
  refused = dsn_tool({"trace", "check", temp / "big.trace.json"});
  CHECK(refused.status == 2);
  CHECK(has(refused.err, "big.trace.json"));
}

TEST_CASE("dsn replay: bad traces, policies and platforms are one line and exit 2, and nothing is written") {
  const TempFolder temp;
  Json trace = trace_of(2);
  std::vector<std::string> more;
  std::string named;
  bool cut = false;
  SUBCASE("truncated") {
    cut = true;
    named = "t.trace.json";
  }
  SUBCASE("unknown key") {
    trace["tasks"]["camera"]["target"] = 5;
    named = "/tasks/camera";
  }
  SUBCASE("missing family") {
    trace["tasks"]["camera"]["family"] = "other.json";
    named = "other.json";
  }
  SUBCASE("unknown policy") {
    more = {"--policy", "dsn,wishful"};
    named = "wishful";
  }
  SUBCASE("unknown cluster") {
    trace["tasks"]["neighbour"]["phases"][0]["cluster"] = "gpu";
    named = "gpu";
  }
  SUBCASE("missing platform") {
    more = {"--platform", "nowhere.json"};
    named = "nowhere.json";
  }
  const fs::path file = write_trace(temp, trace);
  if (cut) fs::resize_file(file, fs::file_size(file) / 2);
  std::vector<std::string> args{"replay", file, "--out", temp / "report.json"};
  args.insert(args.end(), more.begin(), more.end());
  const Outcome outcome = dsn_tool(args);
  CHECK(outcome.status == 2);
  CHECK(outcome.out.empty());
  CHECK(is_one_error(outcome.err, "dsn replay"));
  CHECK_MESSAGE(has(outcome.err, named), outcome.err);
  CHECK_FALSE(fs::exists(temp / "report.json"));
}

TEST_CASE("dsn replay: a signal ends it with its own status, and no half report") {
  const TempFolder temp;
  const fs::path file = write_trace(temp, trace_of(1e6));
  const bool interrupt = [] {
    bool chosen = false;
    SUBCASE("SIGINT") {
      chosen = true;
    }
    SUBCASE("SIGTERM") {
      chosen = false;
    }
    return chosen;
  }();
  dsn::test::ProcessOptions options;
  options.signals = {interrupt ? SIGINT : SIGTERM};
  options.ready = [](const std::string& err) { return has(err, "dsn replay: replay"); };
  const Outcome outcome = dsn_tool({"replay", file, "--out", temp / "report.json"}, options);
  CHECK(outcome.status == (interrupt ? 130 : 143));
  CHECK(outcome.out.empty());
  CHECK(has(outcome.err, "interrupted"));
  CHECK_FALSE(fs::exists(temp / "report.json"));
  CHECK_FALSE(fs::exists(temp / "report.json.tmp"));
}

TEST_CASE("dsn replay: a bar on a terminal, plain lines in a pipe, nothing when quiet") {
  const TempFolder temp;
  const std::string trace = write_trace(temp, trace_of(2));
  const Outcome terminal = dsn_tool({"replay", trace}, {.terminal = true});
  CHECK(terminal.status == 0);
  CHECK(has(terminal.err, "["));
  CHECK(has(terminal.err, "\r"));
  const Outcome piped = dsn_tool({"replay", trace});
  CHECK_FALSE(has(piped.err, "\r"));
  CHECK_FALSE(has(piped.err, "%"));
  CHECK(lines_of(piped.err).size() <= 5);
  CHECK(dsn_tool({"replay", trace, "--quiet"}).err.empty());
  CHECK(terminal.out == piped.out);
}

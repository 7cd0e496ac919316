// SPDX-License-Identifier: Apache-2.0
// The whole chain on a small data set: train, profile, search, export, run. Needs an executor and LibTorch.
#include <doctest/doctest.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "chain.h"
#include "dsn/core/json.h"

using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

// Sends `signal` once the file is there (or after a while, where there is none to wait for).
ProcessOptions signal_when(int signal, std::function<bool()> ready) {
  ProcessOptions options;
  options.signals = {signal};
  options.ready = [ready = std::move(ready)](const std::string&) { return ready(); };
  return options;
}

}  // namespace

TEST_CASE("the chain train, profile, search, export, run works on files alone") {
  const Chain& c = chain();
  REQUIRE_MESSAGE(c.trained.status == 0, c.trained.err);
  CHECK(has(c.trained.out, "largest"));
  CHECK(lines_of(dsn::read_file(c.temp / "curve.jsonl")).size() == 6);
  CHECK_FALSE(fs::exists(c.supernet + ".state"));
  REQUIRE_MESSAGE(c.profiled.status == 0, c.profiled.err);
  CHECK(has(c.profiled.out, "MAPE"));
  REQUIRE_MESSAGE(c.searched.status == 0, c.searched.err);
  CHECK(has(c.searched.out, "measured"));
  CHECK_FALSE(fs::exists(c.family + ".state"));
  REQUIRE_MESSAGE(c.exported.status == 0, c.exported.err);

  const std::string log = c.temp / "log.jsonl";
  const Outcome outcome =
      dsn_tool(c.run_args() + Args{"--frames", "30", "--min-met", "0.99", "--log", log, "--json"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  const Json report = Json::parse(outcome.out);
  CHECK(report["schema"] == "dsn.report");
  CHECK(report["run"]["arrivals"] == 30);
  CHECK(report["run"]["labelled"] == 30);
  CHECK(report["run"]["met_share"] == 1.0);
  const auto lines = lines_of(dsn::read_file(log));
  REQUIRE(lines.size() == 30);
  for (const auto& line : lines) CHECK(Json::parse(line)["met"] == true);
}

TEST_CASE("dsn run: what the log says of accuracy is what the summary says, and the network has learned") {
  const Chain& c = chain();
  const std::string log = c.temp / "accuracy.jsonl";
  const Outcome outcome =
      dsn_tool(c.run_args() + Args{"--frames", "60", "--policy", "static:largest", "--log", log, "--json"});
  REQUIRE(outcome.status == 0);
  int correct = 0;
  for (const auto& line : lines_of(dsn::read_file(log))) {
    const Json record = Json::parse(line);
    correct += record["label"] == record["predicted"];
  }
  const Json run = Json::parse(outcome.out)["run"];
  CHECK(run["correct"] == correct);
  CHECK(run["accuracy"].get<double>() == doctest::Approx(correct / 60.0));
  CHECK(correct > 30);  // chance is 15
}

TEST_CASE("dsn run: a target that no level meets exits 3 and names the nearest") {
  const Chain& c = chain();
  Outcome outcome = dsn_tool({"run", c.bundle, "--input", c.data, "--target-latency", "1ns"});
  CHECK(outcome.status == 3);
  CHECK(outcome.out.empty());
  CHECK(is_one_error(outcome.err, "dsn run"));
  CHECK(has(outcome.err, "level 0"));
  outcome = dsn_tool(c.run_args() + Args{"--min-accuracy", "1.0", "--frames", "5"});
  if (outcome.status != 0) {  // unless the small task was learned to the last image
    CHECK(outcome.status == 3);
    CHECK(has(outcome.err, "accuracy"));
  }
}

TEST_CASE("dsn run: bad inputs are one line with the right status") {
  const Chain& c = chain();
  Outcome outcome = dsn_tool({"run", c.bundle, "--input", "camera:99", "--target-latency", "60s"});
  CHECK(outcome.status != 0);
  CHECK(is_one_error(outcome.err, "dsn run"));
  CHECK(has(outcome.err, "99"));

  dsn::write_file_atomic(c.temp / "broken.png", "not a picture");
  outcome = dsn_tool({"run", c.bundle, "--input", c.temp / "broken.png", "--target-latency", "60s",
                      "--frames", "1", "--quiet"});
  CHECK((outcome.status == 2 || outcome.status == 4));  // 4: a build without OpenCV
  CHECK_MESSAGE(is_one_error(outcome.err, "dsn run"), outcome.err);

  outcome = dsn_tool({"run", c.bundle, "--input", c.data, "--target-latency", "60s", "--policy", "wishful"});
  CHECK(outcome.status == 2);
  CHECK(has(outcome.err, "wishful"));
  outcome = dsn_tool({"run", c.bundle, "--input", c.data, "--target-latency", "60s", "--threads", "77"});
  CHECK(outcome.status == 2);
}

TEST_CASE("dsn run: a bundle that was measured on another device is refused") {
  const Chain& c = chain();
  Json platform = Json::parse(dsn_tool({"platform", "--json"}).out);
  platform["name"] = "another board";
  dsn::write_file_atomic(c.temp / "other.json", dsn::dump_json(platform));
  const Outcome outcome = dsn_tool(c.run_args() + Args{"--platform", c.temp / "other.json"});
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn run"));
  CHECK(has(outcome.err, "another"));
}

TEST_CASE("dsn run: an interruption ends it with a summary and whole log lines") {
  const Chain& c = chain();
  const std::string log = c.temp / "stopped.jsonl";
  const auto some_lines = [&] { return fs::exists(log) && fs::file_size(log) > 2000; };
  const Outcome outcome =
      dsn_tool(c.run_args() + Args{"--duration", "10min", "--fps", "200", "--log", log, "--json"},
               signal_when(SIGTERM, some_lines));
  CHECK(outcome.status == 143);
  const Json run = Json::parse(outcome.out)["run"];
  CHECK(run["interrupted"] == true);
  const auto lines = lines_of(dsn::read_file(log));
  CHECK(run["arrivals"] == lines.size());
  for (const auto& line : lines) CHECK(Json::accept(line));
}

TEST_CASE("dsn run: a log that a full disk cuts short ends in a whole line and is told, after the summary") {
  const Chain& c = chain();
  const std::string log = c.temp / "full.jsonl";
  ProcessOptions options;
  options.file_size_limit = 4096;
  const Outcome outcome = dsn_tool(c.run_args() + Args{"--frames", "100", "--log", log}, options);
  CHECK(outcome.status == 1);
  CHECK(has(outcome.out, "deadlines met"));
  CHECK(has(outcome.err, "dsn run: error: "));
  CHECK(has(outcome.err, "full.jsonl"));
  const std::string text = dsn::read_file(log);
  REQUIRE_FALSE(text.empty());
  CHECK(text.back() == '\n');
  for (const auto& line : lines_of(text)) CHECK(Json::accept(line));
}

TEST_CASE("dsn search: the same seed gives the same bytes, whatever the number of threads") {
  const Chain& c = chain();
  const auto search = [&](const std::string& folder, const std::string& threads, const std::string& seed) {
    fs::create_directory(c.temp / folder);
    const std::string out = c.temp.path() / folder / "family.json";
    const Outcome outcome =
        dsn_tool(c.search_args(out) + Args{"--no-measure", "--threads", threads, "--seed", seed, "--json"});
    REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
    CHECK(outcome.out == dsn::read_file(out));
    CHECK_FALSE(fs::exists(c.temp.path() / folder / "family.lut.json"));
    return outcome.out + dsn::sha256_file(c.temp.path() / folder / "family.bn.safetensors");
  };
  const std::string one = search("s1", "1", "5");
  CHECK(search("s2", "2", "5") == one);
  CHECK(search("s3", "3", "6") != one);
}

TEST_CASE("dsn search: a latency that nothing keeps exits 3 and writes nothing") {
  const Chain& c = chain();
  const std::string out = c.temp / "never.json";
  const Outcome outcome = dsn_tool(c.search_args(out) + Args{"--max-latency", "1ns"});
  CHECK(outcome.status == 3);
  CHECK(has(outcome.err, "dsn search: error: "));
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("dsn search: a LUT of another space and one truncated are refused") {
  const Chain& c = chain();
  const std::string out = c.temp / "never2.json";
  Args args = c.search_args(out);
  const auto lut = std::find(args.begin(), args.end(), c.lut);
  *lut = c.temp / "cut.json";
  const std::string text = dsn::read_file(c.lut);
  dsn::write_file_atomic(*lut, text.substr(0, text.size() / 2));
  Outcome outcome = dsn_tool(args);
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn search"));
  CHECK(has(outcome.err, "cut.json"));

  const auto space = dsn::SearchSpace::load("fmnist-mbv3");
  const auto platform = dsn::fakes::one_cluster();
  Json document = dsn::pure_envelope("dsn.lut", 1, {}, Json::object());
  document.update(dsn::fakes::formula_lut(space, platform, {"cpu", 1, 1e9, 1}).to_json());
  dsn::write_file_atomic(*lut, dsn::dump_json(document));
  outcome = dsn_tool(args);
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn search"));
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("dsn search: an interrupted search goes on with --resume and ends the same") {
  const Chain& c = chain();
  fs::create_directory(c.temp / "resumed");
  const std::string out = c.temp.path() / "resumed" / "family.json";
  const Args args = c.search_args(out) + Args{"--no-measure", "--threads", "1"};
  const Outcome stopped = dsn_tool(args, signal_when(SIGINT, [&] { return fs::exists(out + ".state"); }));
  REQUIRE_MESSAGE(stopped.status == 130, stopped.err);
  CHECK(has(stopped.err, "--resume"));
  CHECK_FALSE(fs::exists(out));
  CHECK(dsn_tool(args + Args{"--resume"}).status == 0);
  CHECK_FALSE(fs::exists(out + ".state"));
  fs::create_directory(c.temp / "whole");
  const std::string whole = c.temp.path() / "whole" / "family.json";
  CHECK(dsn_tool(c.search_args(whole) + Args{"--no-measure"}).status == 0);
  CHECK(dsn::read_file(out) == dsn::read_file(whole));
}

TEST_CASE("dsn profile: an interrupted profile keeps what it measured and goes on with --resume") {
  const Chain& c = chain();
  const std::string out = c.temp / "resumed.lut.json";
  // Entries take their full --max-time, so that there is something left when the first point has been saved.
  const Args args = c.profile_args(out) + Args{"--min-time", "40ms", "--max-time", "40ms"};
  const Outcome stopped = dsn_tool(args, signal_when(SIGINT, [&] { return fs::exists(out); }));
  REQUIRE_MESSAGE(stopped.status == 130, stopped.err);
  CHECK(has(stopped.err, "--resume"));
  CHECK(Json::parse(dsn::read_file(out))["schema"] == "dsn.lut");
  const Outcome resumed = dsn_tool(c.profile_args(out) + Args{"--resume"});
  CHECK(resumed.status == 0);
  CHECK(has(resumed.out, "reused"));
}

TEST_CASE(
    "dsn train: an interrupted training is kept, not overwritten, and goes on with --resume to the same "
    "weights") {
  const Chain& c = chain();
  const std::string out = c.temp / "again.safetensors";
  const Outcome stopped =
      dsn_tool(c.train_args(out, "3"), signal_when(SIGINT, [&] { return fs::exists(out + ".state"); }));
  REQUIRE_MESSAGE(stopped.status == 130, stopped.err);
  CHECK(has(stopped.err, "--resume"));
  CHECK_FALSE(fs::exists(out));
  const Outcome refused = dsn_tool(c.train_args(out, "3"));
  CHECK(refused.status == 2);
  CHECK(has(refused.err, "--resume"));
  const Outcome resumed = dsn_tool(c.train_args(out, "3") + Args{"--resume", "--json"});
  REQUIRE_MESSAGE(resumed.status == 0, resumed.err);
  CHECK_FALSE(fs::exists(out + ".state"));
  const Outcome whole = dsn_tool(c.train_args(c.temp / "whole.safetensors", "3") + Args{"--json"});
  CHECK(Json::parse(resumed.out)["weights_sha256"] == Json::parse(whole.out)["weights_sha256"]);
}

TEST_CASE("dsn train --plan: the phases as a table and as JSON, and nothing is trained") {
  const Chain& c = chain();
  const std::string out = c.temp / "planned.safetensors";
  Outcome outcome = dsn_tool(c.train_args(out, "30") + Args{"--method", "shrink", "--plan"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(has(outcome.out, "full network, fixed"));
  outcome = dsn_tool(c.train_args(out, "30") + Args{"--method", "shrink", "--plan", "--json"});
  const Json plan = Json::parse(outcome.out);
  CHECK(plan["method"] == "shrink");
  REQUIRE(plan["phases"].size() >= 2);
  CHECK(plan["phases"][0]["name"] == "full");
  int epochs = 0;
  for (const Json& phase : plan["phases"]) epochs += phase["epochs"].get<int>();
  CHECK(epochs == 30);
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE(
    "dsn train --method static: one sub-network from a file, and errors where it is missing or unwanted") {
  const Chain& c = chain();
  const std::string out = c.temp / "static.safetensors";
  Outcome outcome = dsn_tool(c.train_args(out, "2") + Args{"--method", "static"});
  CHECK(outcome.status == 2);
  CHECK(has(outcome.err, "--subnet"));
  outcome = dsn_tool(c.train_args(out, "2") + Args{"--subnet", "smallest"});
  CHECK(outcome.status == 2);
  outcome = dsn_tool(c.train_args(out, "2") + Args{"--method", "static", "--subnet", "smallest", "--json"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  const Json record = Json::parse(outcome.out)["record"];
  dsn::write_file_atomic(c.temp / "subnet.json", record["only_subnet"].dump());
  outcome = dsn_tool(c.train_args(out, "2") +
                     Args{"--method", "static", "--subnet", (c.temp / "subnet.json").string(), "--json"});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(Json::parse(outcome.out)["record"]["only_subnet"] == record["only_subnet"]);
  CHECK(Json::parse(outcome.out)["record"]["validation"]["accuracy"] == record["validation"]["accuracy"]);
}

TEST_CASE("dsn train: unknown data, spaces and channels that do not fit are one line and exit 2") {
  const Chain& c = chain();
  Outcome outcome = dsn_tool(
      {"train", "--data", "idx:" + (c.temp / "nowhere").string(), "--out", c.temp / "x.safetensors"});
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn train"));
  outcome = dsn_tool({"train", "--data", c.data, "--val-count", "40", "--space", "no-such-space", "--out",
                      c.temp / "x.safetensors"});
  CHECK(outcome.status == 2);
  CHECK(has(outcome.err, "no-such-space"));
  outcome = dsn_tool({"train", "--data", c.data, "--val-count", "40", "--space", "ofa-mbv3", "--out",
                      c.temp / "x.safetensors"});
  CHECK(outcome.status == 2);
  CHECK(has(outcome.err, "channel"));
}

TEST_CASE("a full disk: profile and search fail with one line and leave no half file") {
  const Chain& c = chain();
  ProcessOptions options;
  options.file_size_limit = 512;
  Outcome outcome = dsn_tool(c.profile_args(c.temp / "full.lut.json"), options);
  CHECK(outcome.status == 1);
  CHECK(has(outcome.err, "full.lut.json"));
  CHECK_FALSE(fs::exists(c.temp / "full.lut.json"));
  CHECK_FALSE(fs::exists(c.temp / "full.lut.json.tmp"));
  outcome = dsn_tool(c.search_args(c.temp / "full.json") + Args{"--no-measure"}, options);
  CHECK(outcome.status == 1);
  CHECK_FALSE(fs::exists(c.temp / "full.json"));
  CHECK_FALSE(fs::exists(c.temp / "full.json.tmp"));
}

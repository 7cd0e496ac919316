// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/trace.h"

#include <doctest/doctest.h>

#include <fstream>

#include "dsn/core/file.h"
#include "dsn/replay/simulator.h"
#include "fixture.h"

namespace dsn::test {
namespace {

Json good_trace() {
  return Json::parse(R"({
    "schema": "dsn.trace", "schema_version": 1,
    "global": {"duration_s": 10, "seed": 7, "noise": false},
    "platform": "board.platform.json",
    "tasks": {
      "cam": {
        "family": "f.family.json", "lut": "sub/f.lut.json", "target_s": 0.06, "probability": 0.95, "min_accuracy": 0.7,
        "placement": {"cluster": "gpu", "threads": 1}, "on_overrun": "queue",
        "phases": [
          {"name": "steady", "duration_s": 4, "arrivals": {"process": "periodic", "rate_hz": 20, "jitter_s": 0.01}},
          {"duration_s": 2, "arrivals": {"process": "poisson", "period_s": 0.1}},
          {"start_s": 7, "arrivals": {"process": "gamma", "rate_hz": 10, "cv2": 4}}
        ]
      },
      "other": {"kind": "contender", "phases": [
        {"start_s": 1, "duration_s": 2, "cluster": "cpu", "busy": 3},
        {"duration_s": 1, "cluster": "gpu", "run_s": 0.005, "period_s": 0.02, "threads": 2}
      ]}
    },
    "events": [
      {"at_s": 2, "set": {"task": "cam", "target_s": 0.05}},
      {"at_s": 3, "cap": {"cluster": "gpu", "max_freq_hz": 5.1e8}},
      {"at_s": 3, "cap": {"cluster": "gpu", "max_freq_hz": null}}
    ]
  })");
}

Trace parse(const Json& json) {
  return parse_trace(json, "t.json", "/data");
}

// The message for a trace in which `value` is put at `pointer`.
std::string complaint(const std::string& pointer, const Json& value) {
  Json json = good_trace();
  json[Json::json_pointer(pointer)] = value;
  return error_message(ErrorCode::bad_input, [&] { (void)parse(json); });
}

std::string complaint_without(const std::string& parent, const std::string& key) {
  Json json = good_trace();
  json.at(Json::json_pointer(parent)).erase(key);
  return error_message(ErrorCode::bad_input, [&] { (void)parse(json); });
}

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.rfind(prefix, 0) == 0;
}

}  // namespace

TEST_CASE("parse_trace: everything that a trace says is read") {
  const Trace trace = parse(good_trace());
  CHECK(trace.duration_s == 10);
  CHECK(trace.seed == 7);
  CHECK_FALSE(trace.noise);
  CHECK(trace.platform == fs::path("/data/board.platform.json"));
  REQUIRE(trace.apps.size() == 1);
  const TraceApp& cam = trace.apps[0];
  CHECK(cam.name == "cam");
  CHECK(cam.family == fs::path("/data/f.family.json"));
  CHECK(cam.lut == fs::path("/data/sub/f.lut.json"));
  CHECK(cam.target_s == 0.06);
  CHECK(cam.probability == 0.95);
  CHECK(cam.min_accuracy == 0.7);
  REQUIRE(cam.cluster);
  CHECK(cam.cluster->name == "gpu");
  CHECK(cam.threads == 1);
  CHECK(cam.on_overrun == OnOverrun::queue);
  REQUIRE(cam.phases.size() == 3);
  CHECK(cam.phases[0].arrivals.period_s == doctest::Approx(0.05));
  CHECK(cam.phases[0].arrivals.jitter_s == 0.01);
  CHECK(cam.phases[1].start_s == 4);  // follows the one before
  CHECK(cam.phases[1].arrivals.process == ArrivalProcess::poisson);
  CHECK(cam.phases[2].start_s == 7);
  CHECK(cam.phases[2].duration_s == 3);  // to the end of the trace
  CHECK(cam.phases[2].arrivals.cv2 == 4);
  REQUIRE(trace.contenders.size() == 1);
  CHECK(trace.contenders[0].phases[0].threads == 3);
  CHECK(trace.contenders[0].phases[0].period_s == 0);
  CHECK(trace.contenders[0].phases[1].start_s == 3);
  CHECK(trace.contenders[0].phases[1].threads == 2);
  REQUIRE(trace.events.size() == 3);
  CHECK(std::get<SetEvent>(trace.events[0].what).target_s == 0.05);
  CHECK(std::get<CapEvent>(trace.events[1].what).max_freq_hz == 5.1e8);
  CHECK_FALSE(std::get<CapEvent>(trace.events[2].what).max_freq_hz.has_value());
}

TEST_CASE("parse_trace: left out, probability, overrun and kind have the documented defaults") {
  Json json = good_trace();
  for (const char* key : {"probability", "min_accuracy", "placement", "on_overrun"})
    json["tasks"]["cam"].erase(key);
  json["global"].erase("seed");
  const Trace trace = parse(json);
  CHECK(trace.seed == 1);
  CHECK(trace.apps[0].probability == 0.99);
  CHECK(trace.apps[0].min_accuracy == 0);
  CHECK(trace.apps[0].on_overrun == OnOverrun::skip);
  CHECK_FALSE(trace.apps[0].cluster);
}

TEST_CASE("parse_trace: what is wrong is named with file and pointer") {
  const std::string cam = "/tasks/cam";
  const std::string phase = cam + "/phases/0";
  const std::string arrivals = phase + "/arrivals";
  struct Case {
    std::string pointer;
    Json value;
    std::string reported;  // empty: the same pointer
  };
  const std::vector<Case> cases = {
      {"/unknown", 1, ""},
      {"/schema", "dsn.lut", ""},
      {"/schema_version", 99, ""},
      {"/schema_version", "1", ""},
      {"/global/duration_s", -1, ""},
      {"/global/duration_s", 0, ""},
      {"/global/duration_s", "10", ""},
      {"/global/seed", -3, ""},
      {"/global/seed", 1.5, ""},
      {"/global/noise", 1, ""},
      {"/global/time_unit", "us", ""},
      {"/platform", 3, ""},
      {"/tasks", Json::array(), ""},
      {"/tasks", Json::object(), ""},
      {"/tasks/bad name", good_trace()["tasks"]["cam"], ""},
      {cam, Json::array(), ""},
      {cam + "/kind", "train", ""},
      {cam + "/target", 0.1, ""},
      {cam + "/target_s", 0, ""},
      {cam + "/target_s", -0.1, ""},
      {cam + "/target_s", nullptr, ""},
      {cam + "/probability", 1.5, ""},
      {cam + "/min_accuracy", -0.1, ""},
      {cam + "/on_overrun", "wait", ""},
      {cam + "/bundle", "b", cam + "/family"},
      {cam + "/placement", "gpu", ""},
      {cam + "/placement/threads", 0, ""},
      {cam + "/placement/cpus", Json::array({1}), ""},
      {cam + "/phases", Json::object(), ""},
      {cam + "/phases", Json::array(), ""},
      {phase, 3, ""},
      {phase + "/start_s", -1, ""},
      {phase + "/start_s", 10, ""},
      {phase + "/duration_s", 0, ""},
      {phase + "/duration_s", 20, ""},
      {phase + "/busy", 1, ""},
      {phase + "/loop", 3, ""},
      {cam + "/phases/1/start_s", 3, ""},  // overlaps phase 0, which ends at 4
      {cam + "/phases/1/duration_s", 4, cam + "/phases/2/start_s"},
      {arrivals + "/process", "uniform", ""},
      {arrivals + "/period_s", 0.1, arrivals},  // beside rate_hz
      {arrivals + "/rate_hz", 0, ""},
      {arrivals + "/rate_hz", 1e9, ""},
      {arrivals + "/jitter_s", 0.06, ""},  // more than the period of 0.05
      {arrivals + "/jitter_s", -0.01, ""},
      {arrivals + "/cv2", 2, ""},  // of a periodic process
      {cam + "/phases/1/arrivals/jitter_s", 0.01, ""},
      {cam + "/phases/1/arrivals/period_s", 1e-9, ""},
      {cam + "/phases/2/arrivals/cv2", 0, ""},
      {"/tasks/other/target_s", 0.1, ""},
      {"/tasks/other/phases/0/run_s", 0.1, ""},
      {"/tasks/other/phases/0/busy", 0, ""},
      {"/tasks/other/phases/0/arrivals", good_trace()["tasks"]["cam"]["phases"][0]["arrivals"], ""},
      {"/tasks/other/phases/1/period_s", -1, ""},
      {"/tasks/other/phases/1/run_s", 0, ""},
      {"/tasks/other/phases/1/start_s", 2, ""},
      {"/events", Json::object(), ""},
      {"/events/0/at_s", -1, ""},
      {"/events/0/at_s", 11, ""},
      {"/events/1/at_s", 1, ""},  // before event 0
      {"/events/0/cap", good_trace()["events"][1]["cap"], "/events/0"},
      {"/events/0/hotplug", Json::object(), "/events/0/hotplug/online"},
      {"/events/0/unplug", Json::object(), ""},
      {"/events/0/set/task", "other", ""},  // a contender
      {"/events/0/set/task", "nobody", ""},
      {"/events/0/set/target_s", 0, ""},
      {"/events/0/set/deadline", 1, ""},
      {"/events/1/cap/max_freq_hz", -5, ""},
      {"/events/1/cap/max_khz", 5, ""},
  };
  for (const Case& c : cases) {
    const std::string message = complaint(c.pointer, c.value);
    const std::string reported = c.reported.empty() ? c.pointer : c.reported;
    CAPTURE(c.pointer);
    CAPTURE(message);
    CHECK(starts_with(message, "t.json: " + reported + ": "));
  }
}

TEST_CASE("parse_trace: what is missing is named with file and pointer") {
  const std::vector<std::pair<std::string, std::string>> cases = {{"", "tasks"},
                                                                  {"", "global"},
                                                                  {"", "schema"},
                                                                  {"/global", "duration_s"},
                                                                  {"/tasks/cam", "phases"},
                                                                  {"/tasks/cam", "target_s"},
                                                                  {"/tasks/cam", "family"},
                                                                  {"/tasks/cam", "lut"},
                                                                  {"/tasks/cam/phases/0", "arrivals"},
                                                                  {"/tasks/cam/placement", "cluster"},
                                                                  {"/tasks/cam/phases/2/arrivals", "cv2"},
                                                                  {"/events/0", "at_s"},
                                                                  {"/events/0/set", "task"},
                                                                  {"/events/1/cap", "max_freq_hz"}};
  for (const auto& [parent, key] : cases) {
    const std::string message = complaint_without(parent, key);
    CAPTURE(message);
    CHECK(starts_with(message, "t.json: " + parent + "/" + key + ": "));
  }
  // These leave their parent without any of the alternatives.
  CHECK(starts_with(complaint_without("/tasks/cam/phases/0/arrivals", "rate_hz"),
                    "t.json: /tasks/cam/phases/0/arrivals: "));
  CHECK(starts_with(complaint_without("/tasks/cam/phases/0", "duration_s"), "t.json: /tasks/cam/phases/0: "));
  CHECK(starts_with(complaint_without("/tasks/other/phases/0", "busy"), "t.json: /tasks/other/phases/0: "));
  CHECK(starts_with(complaint_without("/tasks/other/phases/1", "run_s"), "t.json: /tasks/other/phases/1: "));
  CHECK(starts_with(complaint_without("/events/0", "set"), "t.json: /events/0: "));
  CHECK(starts_with(complaint_without("/events/0/set", "target_s"), "t.json: /events/0/set: "));
  CHECK(starts_with(complaint_without("/tasks", "cam"), "t.json: /events/0/set/task: ") == false);
}

TEST_CASE("parse_trace: a trace of contenders only, and one of nine applications, are refused") {
  Json json = good_trace();
  json["tasks"].erase("cam");
  json.erase("events");
  CHECK(starts_with(error_message(ErrorCode::bad_input, [&] { (void)parse(json); }), "t.json: /tasks: "));
  json = good_trace();
  for (int i = 0; i < 8; ++i) json["tasks"][fmt::format("z{}", i)] = json["tasks"]["cam"];
  CHECK(starts_with(error_message(ErrorCode::bad_input, [&] { (void)parse(json); }), "t.json: /tasks/z7: "));
}

TEST_CASE(
    "load_trace: comments are read over; syntax, depth, duplicates, NaN, size and absence are reported") {
  const fs::path folder = fs::temp_directory_path() / "dsn-trace-test";
  fs::create_directories(folder);
  const fs::path path = folder / "t.trace.json";
  const auto complaint_of = [&](const std::string& text, ErrorCode code = ErrorCode::bad_input) {
    std::ofstream(path, std::ios::trunc) << text;
    return error_message(code, [&] { (void)load_trace(path); });
  };
  std::string text = good_trace().dump();
  CHECK(complaint_of("/* a trace */ // of mine\n" + text).empty());
  CHECK(load_trace(path).apps[0].family == folder / "f.family.json");
  const std::string file = path.string() + ": ";
  CHECK(starts_with(complaint_of(text.substr(0, text.size() / 2)), file + "line 1"));
  CHECK(starts_with(complaint_of(""), file));
  CHECK(starts_with(
      complaint_of(R"({"schema": "dsn.trace", "schema_version": 1, "global": {"duration_s": NaN}})"), file));
  CHECK(starts_with(
      complaint_of(R"({"schema": "dsn.trace", "schema_version": 1, "global": {"duration_s": 1e999}})"),
      file));
  CHECK(starts_with(complaint_of(R"({"schema": "dsn.trace", "global": {"duration_s": 1, "duration_s": 2}})"),
                    file + "/global/duration_s: "));
  CHECK(starts_with(complaint_of(std::string(1000000, '[')), file));
  fs::resize_file(path, kMaxTraceBytes + 1);
  CHECK(starts_with(error_message(ErrorCode::bad_input, [&] { (void)load_trace(path); }),
                    file + "found 67108865 bytes"));
  fs::remove(path);
  CHECK_FALSE(error_message(ErrorCode::not_found, [&] { (void)load_trace(path); }).empty());
  fs::remove_all(folder);
}

TEST_CASE("parse_trace: comments and layout do not change the hash, content does") {
  Json json = good_trace();
  const std::string hash = parse(json).sha256;
  CHECK(parse_trace(json, "elsewhere.json", "/tmp").sha256 == hash);
  json["global"]["seed"] = 8;
  CHECK(parse(json).sha256 != hash);
}

}  // namespace dsn::test

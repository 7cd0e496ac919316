// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/replay.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "dsn/core/file.h"
#include "fixture.h"

namespace dsn::test {
namespace {

using doctest::Approx;

const fs::path kRoot = DSN_SOURCE_ROOT;

Platform two_clusters() {
  return make_platform({make_cluster("cpu", 4, {0.5e9, 1.0e9, 1.5e9}, 3e-4),
                        make_cluster("gpu", 1, {0.3e9, 0.6e9, 0.9e9}, 0, ClusterKind::gpu)});
}

LoadedWorkload small_workload(double duration_s = 30) {
  Platform platform = two_clusters();
  TraceApp cam = make_app("cam", 0.05, 1.0 / 15, duration_s);
  cam.phases[0].arrivals.jitter_s = 0.005;
  TraceApp mic = make_app("mic", 0.2, 0.4, duration_s);
  mic.phases[0].arrivals.process = ArrivalProcess::poisson;
  mic.on_overrun = OnOverrun::queue;
  Trace trace = make_trace(duration_s, {cam, mic},
                           {{"c", "", {busy_phase("cpu", 0.3 * duration_s, 0.3 * duration_s, 4)}}});
  trace.noise = true;
  std::vector<AppModel> models;
  models.push_back(
      make_model(platform, {{"cpu", 2, {0.01, 0.02, 0.03}, 0.02}, {"gpu", 1, {0.008, 0.015, 0.02}, 0.01}}));
  models.push_back(make_model(platform, {{"cpu", 1, {0.02, 0.05}, 0.03}}));
  return bind_workload(std::move(trace), std::move(platform), std::move(models));
}

const Json& policy_of(const Json& report, const std::string& name) {
  for (const Json& run : report.at("policies")) {
    if (run.at("policy") == name) return run;
  }
  FAIL("no policy " << name);
  return report;
}

const std::vector<std::string> kAll = {"dsn",       "dsn:min-energy", "static:smallest",
                                       "schedutil", "performance",    "powersave:1"};

}  // namespace

TEST_CASE("parse_policy_spec: governors carry a static network, other names go to make_policy()") {
  CHECK(parse_policy_spec("schedutil").policy == "static:largest");
  CHECK(parse_policy_spec("schedutil").governors.cpu == "schedutil");
  CHECK(parse_policy_spec("schedutil").governors.gpu == "nvhost_podgov");
  CHECK(parse_policy_spec("performance:smallest").policy == "static:smallest");
  CHECK(parse_policy_spec("performance").governors.gpu == "performance");
  CHECK(parse_policy_spec("powersave:1").policy == "static:1");
  CHECK(parse_policy_spec("dsn").policy == "dsn");
  CHECK(parse_policy_spec("dsn").governors.gpu == "nvhost_podgov");
  CHECK(parse_policy_spec("dsn:min-energy").policy == "dsn:min-energy");
  CHECK(parse_policy_spec("ondemand").governors.gpu == "nvhost_podgov");
  CHECK(parse_policy_spec("conservative+simple_ondemand:2").governors.gpu == "simple_ondemand");
  CHECK(parse_policy_spec("conservative+simple_ondemand:2").policy == "static:2");
  CHECK(parse_policy_spec("governor:ondemand:smallest").policy == "static:smallest");
  CHECK(parse_policy_spec("userspace=803MHz").governors.gpu == "userspace=803MHz");
  for (const char* wrong : {"ondemnad", "simple_ondemand", "schedutil+ondemand", "userspace=803", "userspace",
                            "", "schedutil:", "schedutil:big", "static", "dsn:fast"}) {
    CAPTURE(wrong);
    CHECK_FALSE(error_message(ErrorCode::bad_usage, [&] { (void)parse_policy_spec(wrong); }).empty());
  }
}

TEST_CASE("replay: the same seed gives the same bytes, whatever the number of threads") {
  const LoadedWorkload loaded = small_workload();
  ReplayOptions options;
  options.policies = kAll;
  const std::string once = dump_json(replay(loaded, options));
  CHECK(dump_json(replay(loaded, options)) == once);
  options.threads = 3;
  CHECK(dump_json(replay(loaded, options)) == once);
  CHECK(dump_json(replay(small_workload(), options)) == once);
  options.seed = 99;
  CHECK(dump_json(replay(loaded, options)) != once);
}

TEST_CASE(
    "replay: policies come out in the order asked, and one policy's result does not depend on the others") {
  const LoadedWorkload loaded = small_workload();
  ReplayOptions options;
  options.policies = {"powersave", "dsn"};
  options.threads = 2;
  const Json report = replay(loaded, options);
  CHECK(report["policies"][0]["policy"] == "powersave");
  CHECK(report["policies"][1]["policy"] == "dsn");
  options.policies = {"dsn"};
  CHECK(replay(loaded, options)["policies"][0] == report["policies"][1]);
}

TEST_CASE("replay: the report keeps its schema and its sums") {
  const LoadedWorkload loaded = small_workload();
  ReplayOptions options;
  options.policies = kAll;
  const Json report = replay(loaded, options);
  CHECK_NOTHROW(check_schema(report, "dsn.report", "report"));
  CHECK(report["kind"] == "replay");
  CHECK(report["seed"] == 1);
  CHECK(report["inputs"][0]["role"] == "trace");
  REQUIRE(report["policies"].size() == kAll.size());
  for (const Json& run : report["policies"]) {
    const Json& energy = run["energy"];
    CHECK(energy["total_j"].get<double>() ==
          Approx(energy["static_j"].get<double>() + energy["idle_j"].get<double>() +
                 energy["above_idle_j"].get<double>()));
    double above = energy["contenders_j"].get<double>();
    for (const Json& app : run["apps"]) {
      above += app["energy"]["above_idle_j"].get<double>();
      double levels = 0;
      for (const Json& level : app["levels"]) levels += level["share"].get<double>();
      CHECK(levels == Approx(1.0));
      CHECK(app["latency"]["origin"]["measured"] == app["completed"]);
    }
    CHECK(energy["above_idle_j"].get<double>() == Approx(above));
    for (const Json& cluster : run["clusters"]) {
      double opps = 0;
      for (const Json& opp : cluster["opps"]) opps += opp["share"].get<double>();
      CHECK(opps == Approx(1.0));
    }
  }
  const Json& schedutil = policy_of(report, "schedutil");
  CHECK(schedutil["cpu_governor"] == "schedutil");
  CHECK(schedutil["gpu_governor"] == "nvhost_podgov");
  CHECK(schedutil["name"] == "static:largest");
  CHECK(schedutil["clusters"][0]["governed_share"].get<double>() == Approx(1.0));
  const Json& managed = policy_of(report, "dsn");  // sets the frequencies itself
  CHECK(managed["cpu_governor"] == "dsn");
  CHECK(managed["gpu_governor"] == "dsn");
  // Sanity of the physics: the highest clocks cost most power.
  CHECK(policy_of(report, "performance")["energy"]["mean_power_w"] >
        policy_of(report, "powersave:1")["energy"]["mean_power_w"]);
}

TEST_CASE("replay: without power numbers energy is null, with its reason") {
  Platform platform = make_platform({make_cluster("cpu", 2, {0})});
  platform.power_known = false;
  platform.clusters[0].opps[0] = Opp{};
  platform.clusters[0].power_source.clear();
  AppModel model = make_model(platform, {{"cpu", 1, {0.01}}});
  std::vector<AppModel> models;
  models.push_back(std::move(model));
  const LoadedWorkload loaded =
      bind_workload(make_trace(1, {make_app("a", 0.1, 0.1, 1)}), platform, std::move(models));
  ReplayOptions options;
  options.policies = {"schedutil"};
  const Json report = replay(loaded, options);
  CHECK_NOTHROW(check_schema(report, "dsn.report", "report"));
  const Json& run = report["policies"][0];
  CHECK(run["energy"]["total_j"].is_null());
  CHECK_FALSE(run["energy"]["total_j_reason"].get<std::string>().empty());
  CHECK(run["apps"][0]["energy"]["above_idle_j"].is_null());
  CHECK(run["gpu_governor"].is_null());
  CHECK(run["clusters"][0]["opps"][0]["freq_hz"].is_null());
  CHECK(run["apps"][0]["latency"]["p99_s"].is_null());  // ten inferences carry no p99
  CHECK(run["apps"][0]["latency"]["p50_s"].get<double>() == Approx(0.01));
  const auto table = replay_table(report);
  REQUIRE(table.size() == 2);
  CHECK(table[0].size() == table[1].size());
  CHECK(std::count(table[1].begin(), table[1].end(), "-") >= 4);
}

TEST_CASE("replay_table: one row per policy and application under one header") {
  const LoadedWorkload loaded = small_workload();
  ReplayOptions options;
  options.policies = {"dsn", "performance"};
  const auto table = replay_table(replay(loaded, options));
  REQUIRE(table.size() == 1 + 2 * 2);
  for (const auto& row : table) CHECK(row.size() == table[0].size());
  CHECK(table[0][0] == "policy");
  CHECK(table[1][0] == "dsn");
  CHECK(table[1][1] == "cam");
  CHECK(table[4][0] == "performance");
  CHECK(table[4][1] == "mic");
}

TEST_CASE("replay: a level that a family does not have, and no policy at all, are refused") {
  const LoadedWorkload loaded = small_workload(2);
  ReplayOptions options;
  options.policies = {"schedutil:2"};  // mic has levels 0 and 1
  CHECK_FALSE(error_message(ErrorCode::bad_usage, [&] { (void)replay(loaded, options); }).empty());
  options.policies = {};
  CHECK_FALSE(error_message(ErrorCode::bad_usage, [&] { (void)replay(loaded, options); }).empty());
}

TEST_CASE("bind_workload: a cluster measured at one frequency is held there, with a warning in the report") {
  Platform platform = make_platform({make_cluster("cpu", 2, {0.5e9, 1.0e9, 1.5e9})});
  AppModel model = make_model(platform, {{"cpu", 1, {0.01, 0.02}}});
  for (LutLevel& level : model.lut.levels)
    std::erase_if(level.at, [](const auto& row) { return row.first.freq_hz != 1.0e9; });
  std::vector<AppModel> models;
  models.push_back(std::move(model));
  const LoadedWorkload loaded =
      bind_workload(make_trace(1, {make_app("a", 0.1, 0.1, 1)}), platform, std::move(models));
  REQUIRE(loaded.warnings.size() == 1);
  REQUIRE(loaded.workload.platform.clusters[0].opps.size() == 1);
  CHECK(loaded.workload.platform.clusters[0].opps[0].freq_hz == 1.0e9);
  ReplayOptions options;
  options.policies = {"powersave:0", "performance:0"};
  const Json report = replay(loaded, options);
  CHECK(report["warnings"].size() == 1);
  CHECK(report["policies"][0]["apps"] == report["policies"][1]["apps"]);
}

TEST_CASE("bind_workload: a LUT of another platform, and a placement that it lacks, are refused by name") {
  const auto bind = [](const std::function<void(Trace&, AppModel&)>& change) {
    Platform platform = two_clusters();
    std::vector<AppModel> models;
    models.push_back(make_model(platform, {{"gpu", 1, {0.01}}}));
    Trace trace = make_trace(1, {make_app("cam", 0.1, 0.1, 1)});
    change(trace, models[0]);
    (void)bind_workload(std::move(trace), std::move(platform), std::move(models));
  };
  CHECK(error_message(ErrorCode::mismatch, [&] {
          bind([](Trace&, AppModel& model) { model.lut.platform_sha256 = std::string(64, 'f'); });
        }).find("test board") != std::string::npos);
  CHECK(error_message(ErrorCode::bad_input, [&] {
          bind([](Trace& trace, AppModel&) {
            trace.apps[0].cluster = ClusterRef{"cpu", "/tasks/cam/placement/cluster"};
          });
        }).find("/tasks/cam/placement") != std::string::npos);
  CHECK(error_message(ErrorCode::bad_input, [&] {
          bind([](Trace& trace, AppModel&) {
            trace.apps[0].cluster = ClusterRef{"npu", "/tasks/cam/placement/cluster"};
          });
        }).find("/tasks/cam/placement/cluster") != std::string::npos);
  CHECK_NOTHROW(bind([](Trace& trace, AppModel&) { trace.apps[0].cluster = ClusterRef{"gpu", ""}; }));
}

TEST_CASE("load_workload: a bundle needs a reader, and gets it") {
  const fs::path folder = fs::temp_directory_path() / "dsn-replay-test";
  fs::create_directories(folder);
  const fs::path path = folder / "t.trace.json";
  write_file_atomic(path, R"({"schema": "dsn.trace", "schema_version": 1, "global": {"duration_s": 1},
    "tasks": {"a": {"bundle": "b", "target_s": 0.1, "phases": [{"arrivals": {"period_s": 0.1}}]}}})");
  CHECK(error_message(ErrorCode::unsupported, [&] { (void)load_workload(path); }).find("/tasks/a/bundle") !=
        std::string::npos);
  fs::path asked;
  std::string platform_sha256;
  const auto reader = [&](const fs::path& bundle, const std::string& wanted) {
    asked = bundle;
    platform_sha256 = wanted;
    AppModel model = make_model(two_clusters(), {{"gpu", 1, {0.01}}});
    model.inputs = {{"bundle", std::string(64, 'c')}};
    return model;
  };
  const fs::path board = kRoot / "profiles/jetson-xavier-nx.platform.json";
  const LoadedWorkload loaded = load_workload(path, board, reader);
  CHECK(asked == folder / "b");
  CHECK(platform_sha256 == load_platform(board).sha256);
  CHECK(loaded.inputs.back().role == "a/bundle");
  // Neither the trace, nor the flag, nor the LUT names a platform.
  CHECK_FALSE(error_message(ErrorCode::bad_input, [&] { (void)load_workload(path, {}, reader); }).empty());
  fs::remove_all(folder);
}

TEST_CASE(
    "examples: Fig. 7: lower levels and the target met within five inferences of the contender, level 4 "
    "again after it") {
  // Levels count from 1 in the figure. The second application comes at 2.5 s and goes at 11 s.
  const LoadedWorkload loaded = load_workload(kRoot / "examples/xavier-nx-contention.trace.json");
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u}) {
    CAPTURE(seed);
    std::vector<InferenceRecord> records;
    SimOptions options;
    options.seed = seed;
    options.on_inference = [&](const InferenceRecord& record) { records.push_back(record); };
    const auto policy = make_policy("dsn");
    (void)simulate(loaded.workload, *policy, options);
    const auto share = [&](double from_s, double to_s, auto&& holds) {
      int all = 0, good = 0;
      for (const InferenceRecord& r : records) {
        if (r.scheduled_s < from_s || r.scheduled_s >= to_s) continue;
        ++all;
        good += holds(r) ? 1 : 0;
      }
      return static_cast<double>(good) / all;
    };
    const auto at_least_4 = [](const InferenceRecord& r) { return r.level + 1 >= 4; };
    const auto at_most_3 = [](const InferenceRecord& r) { return r.level + 1 <= 3; };
    const auto met = [](const InferenceRecord& r) { return r.met; };
    CHECK(share(0, 2.5, at_least_4) > 0.2);
    const auto first =
        std::find_if(records.begin(), records.end(), [](const auto& r) { return r.scheduled_s >= 2.5; });
    REQUIRE(records.end() - first > 5);
    CHECK(std::any_of(first, first + 5, met));
    CHECK(share(2.5 + 5.0 / 15, 11, met) > 0.9);
    CHECK(share(2.5 + 5.0 / 15, 11, at_most_3) > 0.95);
    CHECK(share(11, 18, at_least_4) > 0.03);
  }
}

TEST_CASE("examples: the shipped traces replay under every policy and keep the schema") {
  for (const char* name : {"xavier-nx-contention", "two-apps", "day"}) {
    CAPTURE(name);
    const LoadedWorkload loaded = load_workload(kRoot / "examples" / (std::string(name) + ".trace.json"));
    CHECK(loaded.warnings.empty());
    ReplayOptions options;
    options.policies = {"dsn",         "dsn:min-energy", "schedutil", "schedutil:smallest",
                        "performance", "powersave"};
    options.threads = 2;
    const Json report = replay(loaded, options);
    CHECK_NOTHROW(check_schema(report, "dsn.report", "report"));
    for (const Json& app : policy_of(report, "dsn")["apps"]) CHECK(app["completed"].get<int>() > 50);
  }
}

TEST_CASE(
    "examples: on the published contention scenario dsn keeps the target where the static network does not") {
  const LoadedWorkload loaded = load_workload(kRoot / "examples/xavier-nx-contention.trace.json");
  ReplayOptions options;
  options.policies = {"dsn", "performance:3", "performance:0"};  // level 3 is where the published run starts
  const Json report = replay(loaded, options);
  const auto met = [&](const std::string& policy) {
    return policy_of(report, policy)["apps"][0]["deadlines"]["met_share"].get<double>();
  };
  const auto accuracy = [&](const std::string& policy) {
    return policy_of(report, policy)["apps"][0]["accuracy"]["mean"].get<double>();
  };
  CHECK(met("dsn") > 0.9);
  CHECK(met("performance:3") < 0.8);
  CHECK(accuracy("dsn") > accuracy("performance:0"));
  CHECK(policy_of(report, "dsn")["apps"][0]["switches"]["level"].get<int>() >= 2);  // down and up again
}

}  // namespace dsn::test

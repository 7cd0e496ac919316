// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/platform.h"

#include <doctest/doctest.h>

#include <string>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "fake_sysfs.h"

using dsn::Error;
using dsn::ErrorCode;
using dsn::Json;

namespace {

// A device as a person would write it: two clusters, powers, thermal model, one power mode.
Json board() {
  return Json::parse(R"({
    "schema": "dsn.platform", "schema_version": 1, "name": "a board",
    "power": {"rail": "5 V input", "base_power_w": 1.5, "origin": "measured", "source": "a meter"},
    "clusters": [
      {"name": "cpu", "kind": "cpu", "cpus": [1, 0], "knob": "policy0",
       "frequencies": {"origin": "published", "source": "datasheet"},
       "transition_latency_s": 0.0003,
       "power": {"origin": "measured", "source": "a meter"},
       "opps": [{"freq_hz": 4e8, "idle_power_w": 0.1, "busy_power_w": 0.5},
                {"freq_hz": 8e8, "idle_power_w": 0.2, "busy_power_w": 1.5, "power_origin": "published"}]},
      {"name": "gpu", "kind": "gpu", "knob": "1.gpu",
       "frequencies": {"origin": "published", "source": "datasheet"},
       "transition_latency_s": null, "transition_latency_s_reason": "unknown",
       "power": {"origin": "modelled", "source": "guessed"},
       "opps": [{"freq_hz": 3e8, "idle_power_w": 0, "busy_power_w": 2}]}
    ],
    "thermal": {"throttle_c": 80, "origin": "published", "source": "device tree",
      "model": {"ambient_c": 25, "resistance_c_per_w": 8, "time_constant_s": 60, "origin": "modelled", "source": "guessed"}},
    "power_modes": {"origin": "published", "source": "vendor",
      "modes": [{"name": "slow", "cpus_online": 1, "max_freq_hz": {"cpu": 4e8}}]}
  })");
}

// What parse_platform() says to `document`; empty if it takes it.
std::string complaint(const Json& document) {
  try {
    (void)dsn::parse_platform(document, "board.json");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::bad_input);
    return error.message();
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("parse_platform: every part of a hand-written description arrives") {
  const dsn::Platform platform = dsn::parse_platform(board(), "board.json");
  CHECK(platform.name == "a board");
  CHECK(platform.base_power_w == 1.5);
  CHECK(platform.power_rail == "5 V input");
  CHECK(platform.power_known);
  REQUIRE(platform.clusters.size() == 2);
  const dsn::Cluster& cpu = platform.clusters[0];
  CHECK(cpu.cpus == std::vector<int>{0, 1});
  CHECK(cpu.knob == "policy0");
  CHECK(cpu.transition_latency_s == 0.0003);
  CHECK(cpu.opps[1].freq_hz == 8e8);
  CHECK(cpu.opps[1].busy_power_w == 1.5);
  CHECK(cpu.opps[0].power_origin == dsn::Origin::measured);
  CHECK(cpu.opps[1].power_origin == dsn::Origin::published);
  CHECK(cpu.power_origin == dsn::Origin::published);
  CHECK(platform.clusters[1].kind == dsn::ClusterKind::gpu);
  CHECK(platform.clusters[1].transition_latency_s == 0);
  CHECK(platform.thermal.throttle_c == 80);
  CHECK(platform.thermal.resistance_c_per_w == 8);
  REQUIRE(platform.modes.size() == 1);
  CHECK(platform.modes[0].max_freq_hz.front() == std::pair<std::string, double>("cpu", 4e8));
  CHECK(platform.modes[0].cpus_online == 1);
}

TEST_CASE("parse_platform: an unknown key is refused with its pointer, at any depth") {
  Json document = board();
  document["clusters"][0]["opps"][1]["frequency"] = 1;
  CHECK(contains(complaint(document), "board.json: /clusters/0/opps/1/frequency"));
  document = board();
  document["colour"] = "green";
  CHECK(contains(complaint(document), "/colour"));
  document = board();
  document["thermal"]["model"]["fan"] = true;
  CHECK(contains(complaint(document), "/thermal/model/fan"));
}

TEST_CASE("parse_platform: numbers without an origin are refused") {
  Json document = board();
  document["clusters"][0]["frequencies"].erase("origin");
  CHECK(contains(complaint(document), "/clusters/0/frequencies/origin"));
  document = board();
  document["clusters"][0].erase("power");
  CHECK(contains(complaint(document), "origin and source"));
  document = board();
  document["clusters"][0]["opps"][0]["voltage_v"] = 0.8;
  CHECK(contains(complaint(document), "/clusters/0/opps/0/voltage_v"));
  document = board();
  document["clusters"][0]["power"]["origin"] = "guessed";
  CHECK(contains(complaint(document), "/clusters/0/power/origin"));
}

TEST_CASE("parse_platform: values that contradict each other are refused where they stand") {
  const auto with = [](const char* pointer, const Json& value) {
    Json document = board();
    document[Json::json_pointer(pointer)] = value;
    return complaint(document);
  };
  CHECK(contains(with("/clusters/0/opps/1/freq_hz", 4e8), "/clusters/0/opps/1/freq_hz"));
  CHECK(contains(with("/clusters/0/opps/1/freq_hz", nullptr), "/clusters/0/opps/1/freq_hz"));
  CHECK(contains(with("/clusters/0/opps/0/busy_power_w", 0.05), "at least idle_power_w"));
  CHECK(contains(with("/clusters/1/cpus", {1}), "GPU"));
  CHECK(contains(with("/clusters/1/name", "cpu"), "/clusters/1/name"));
  CHECK(contains(with("/clusters/0/cpus", {1, 1}), "each CPU once"));
  CHECK(contains(with("/clusters/0/cpus", Json::array()), "CPU numbers"));
  CHECK(contains(with("/clusters/0/knob", "policy0,cpu2"), "/clusters/0/knob"));
  CHECK(contains(with("/clusters/1/knob", "policy0"), "each knob once"));
  CHECK(contains(with("/power_modes/modes/0/max_freq_hz/npu", 1e9), "/power_modes/modes/0/max_freq_hz/npu"));
  CHECK(contains(with("/thermal/throttle_c", 20), "/thermal/throttle_c"));
  CHECK(contains(with("/power", nullptr), "base_power_w"));
  Json document = board();
  document["clusters"][0]["opps"][1].erase("idle_power_w");
  CHECK(contains(complaint(document), "/clusters/0/opps/1"));
  document["clusters"][0]["opps"][1].erase("busy_power_w");
  CHECK(contains(complaint(document), "in every row"));
}

TEST_CASE("parse_platform: a newer schema version is refused with both numbers") {
  Json document = board();
  document["schema_version"] = 99;
  const std::string message = complaint(document);
  CHECK(contains(message, "99"));
  CHECK(contains(message, std::to_string(dsn::schema_version("dsn.platform"))));
}

TEST_CASE("parse_platform: without powers the platform loads and says so") {
  Json document = board();
  for (Json& cluster : document["clusters"]) {
    cluster.erase("power");
    for (Json& opp : cluster["opps"])
      opp.erase("idle_power_w"), opp.erase("busy_power_w"), opp.erase("power_origin");
  }
  document.erase("power");
  const dsn::Platform platform = dsn::parse_platform(document, "board.json");
  CHECK_FALSE(platform.power_known);
  CHECK(platform.clusters[0].power_source.empty());
  CHECK_FALSE(platform.clusters[0].opps[0].busy_power_w.has_value());
}

TEST_CASE("Platform::sha256: depends on the device, not on its powers or notes") {
  const std::string before = dsn::parse_platform(board(), "board.json").sha256;
  CHECK(before.size() == 64);
  Json document = board();
  document["notes"] = {"another"};
  document["clusters"][0]["opps"][0]["busy_power_w"] = 0.6;
  CHECK(dsn::parse_platform(document, "board.json").sha256 == before);
  document["clusters"][0]["opps"][0]["freq_hz"] = 5e8;
  CHECK(dsn::parse_platform(document, "board.json").sha256 != before);
}

TEST_CASE("Platform::cluster_index: an unknown name is not_found and the hint lists those there are") {
  const dsn::Platform platform = dsn::parse_platform(board(), "board.json");
  CHECK(platform.cluster_index("gpu") == 1);
  try {
    (void)platform.cluster_index("npu");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(contains(error.message(), "npu"));
    CHECK(contains(error.hint(), "cpu, gpu"));
  }
}

TEST_CASE("load_platform: comments are allowed, a missing file is not_found") {
  const dsn::test::FakeSysfs folder;
  folder.put("board.json", "// my board\n" + board().dump() + "/* end */\n");
  CHECK(dsn::load_platform(folder.root() / "board.json").clusters.size() == 2);
  try {
    (void)dsn::load_platform(folder.root() / "none.json");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(contains(error.message(), "none.json"));
  }
}

TEST_CASE("split_knob: a list gives its policies, an empty knob nothing") {
  CHECK(dsn::split_knob("policy0,policy2") == std::vector<std::string>{"policy0", "policy2"});
  CHECK(dsn::split_knob("17000000.gv11b") == std::vector<std::string>{"17000000.gv11b"});
  CHECK(dsn::split_knob("").empty());
}

TEST_CASE("The Jetson Xavier NX profile: base plus busy power is the published reading of the module") {
  const dsn::fs::path file = dsn::fs::path(DSN_SOURCE_ROOT) / "profiles" / "jetson-xavier-nx.platform.json";
  const dsn::Platform nx = dsn::load_platform(file);
  CHECK(nx.power_known);
  const dsn::Cluster& cpu = nx.clusters[static_cast<std::size_t>(nx.cluster_index("cpu"))];
  const dsn::Cluster& gpu = nx.clusters[static_cast<std::size_t>(nx.cluster_index("gpu"))];
  CHECK(cpu.opps.size() == 25);
  CHECK(cpu.cpus.size() == 6);
  CHECK(dsn::split_knob(cpu.knob).size() == 3);
  CHECK(cpu.power_origin == dsn::Origin::modelled);
  REQUIRE(gpu.opps.size() == 15);
  CHECK(gpu.opps.back().freq_hz == 1109250000);
  // LoudVA, mean VDD_IN of the sweep at 1109.25 and 204 MHz; idle median at 1109.25 MHz.
  CHECK(nx.base_power_w + *gpu.opps.back().busy_power_w == doctest::Approx(13.578).epsilon(1e-4));
  CHECK(nx.base_power_w + *gpu.opps[1].busy_power_w == doctest::Approx(5.716).epsilon(1e-4));
  CHECK(nx.base_power_w + *gpu.opps.back().idle_power_w == doctest::Approx(4.205).epsilon(1e-4));
  CHECK(gpu.opps.back().power_origin == dsn::Origin::published);
  CHECK(gpu.opps[1].power_origin == dsn::Origin::modelled);
  CHECK(nx.thermal.throttle_c == 90.5);
  CHECK(nx.thermal.resistance_c_per_w == 0);
  REQUIRE(nx.modes.size() == 9);
  for (const dsn::PowerMode& mode : nx.modes) {
    for (const auto& [name, cap] : mode.max_freq_hz) {
      const auto& opps = nx.clusters[static_cast<std::size_t>(nx.cluster_index(name))].opps;
      CHECK(std::any_of(opps.begin(), opps.end(),
                        [&, limit = cap](const dsn::Opp& opp) { return opp.freq_hz == limit; }));
    }
  }
}

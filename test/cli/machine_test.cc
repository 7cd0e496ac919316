// SPDX-License-Identifier: Apache-2.0
// dsn doctor, dsn restore and --dvfs on machines made of plain files.
#include <doctest/doctest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "../platform/fake_sysfs.h"
#include "dsn/core/json.h"
#include "dsn/platform/frequency_state.h"
#include "fakes/temp_folder.h"
#include "process.h"

using namespace dsn::test;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;

namespace {

const std::string kSupernet = DSN_SOURCE_ROOT "/examples/fmnist-mbv3.safetensors";

void add_meter(const FakeSysfs& tree) {
  const std::string base = "sys/class/hwmon/hwmon0/";
  for (const auto& [file, text] : {std::pair{"name", "ina3221"},
                                   {"in1_label", "VDD_IN"},
                                   {"in1_input", "5000"},
                                   {"curr1_input", "1000"},
                                   {"update_interval", "2"}})
    tree.put(base + file, std::string(text) + "\n");
}

// Long enough to be interrupted.
std::vector<std::string> profile_of(const FakeSysfs& tree, const std::filesystem::path& out) {
  return {"profile",   "--supernet", kSupernet,    "--threads",  "1",      "--random-levels", "0",
          "-r",        "3",          "--min-time", "50ms",       "--dvfs", "control",         "--sysfs-root",
          tree.root(), "--held-out", "0",          "--patience", "0s",     "--out",           out.string()};
}

// The second point is being measured: frequencies were moved.
bool second_point(const std::string& err) {
  return has(err, "profile cpu, 1 thread, 800 MHz");
}

}  // namespace

TEST_CASE("dsn doctor: says what can be set and measured, what not, and what would change that") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  tree.put("sys/devices/system/cpu/online", "0-1\n");
  tree.put("sys/devices/system/cpu/offline", "2-3\n");
  add_meter(tree);
  tree.put("sys/class/power_supply/BAT0/type", "Battery\n");
  tree.put("sys/class/power_supply/BAT0/status", "Full\n");
  tree.put("sys/class/power_supply/BAT0/power_now", "0\n");
  tree.put("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
  tree.put("sys/class/thermal/thermal_zone0/temp", "45500\n");
  tree.put("sys/class/thermal/thermal_zone0/trip_point_0_type", "passive\n");
  tree.put("sys/class/thermal/thermal_zone0/trip_point_0_temp", "85000\n");
  const Outcome text = dsn_tool({"doctor", "--sysfs-root", tree.root()});
  CHECK(text.status == 0);
  for (const char* part : {"3 operating points, 400 MHz to 1.20 GHz", "set by governor userspace", "VDD_IN",
                           "unplug the mains adapter", "cpu-thermal 46 °C (throttles at 85)", "offline: 2,3"})
    CHECK_MESSAGE(has(text.out, part), part);

  const Outcome json = dsn_tool({"doctor", "--sysfs-root", tree.root(), "--measure", "50ms", "--json"});
  REQUIRE(json.status == 0);
  const Json document = Json::parse(json.out);
  dsn::check_schema(document, "dsn.doctor", "doctor");
  REQUIRE(document["meters"].size() == 1);
  CHECK(document["meters"][0]["power_w"].get<double>() == doctest::Approx(5));
  CHECK(document["meters"][0]["samples"].get<int>() >= 3);
}

TEST_CASE("dsn doctor: this machine, and an empty one") {
  const Outcome here = dsn_tool({"doctor", "--json"});
  CHECK(here.status == 0);
  dsn::check_schema(Json::parse(here.out), "dsn.doctor", "doctor");
  const FakeSysfs empty;
  const Outcome nothing = dsn_tool({"doctor", "--sysfs-root", empty.root()});
  CHECK(nothing.status == 0);
  CHECK(has(nothing.out, "no RAPL zone, INA rail, ACPI power meter or battery"));
  CHECK(has(nothing.out, "to change that"));
}

TEST_CASE("dsn profile --dvfs control: SIGTERM puts frequencies back, SIGKILL leaves them to dsn restore") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  const dsn::fakes::TempFolder temp;
  const auto governor = [&] { return tree.get(FakeSysfs::policy(0, "scaling_governor")); };
  const auto state = dsn::default_frequency_state(tree.root());

  Outcome outcome =
      dsn_tool(profile_of(tree, temp / "a.json"), {.signals = {SIGTERM}, .ready = second_point});
  CHECK(outcome.status == 143);
  CHECK(governor() == "schedutil");
  CHECK_FALSE(dsn::fs::exists(state));
  CHECK(has(outcome.err, "--resume"));

  outcome = dsn_tool(profile_of(tree, temp / "b.json"), {.signals = {SIGKILL}, .ready = second_point});
  CHECK(outcome.status == -SIGKILL);
  CHECK(governor() == "userspace");
  REQUIRE(dsn::fs::exists(state));
  outcome = dsn_tool({"doctor", "--sysfs-root", tree.root()});
  CHECK(has(outcome.out, "dsn restore"));

  outcome = dsn_tool({"restore", "--sysfs-root", tree.root(), "--dry-run"});
  CHECK(outcome.status == 0);
  CHECK(governor() == "userspace");
  outcome = dsn_tool({"restore", "--sysfs-root", tree.root(), "--json"});
  CHECK(outcome.status == 0);
  dsn::check_schema(Json::parse(outcome.out), "dsn.frequencies", "restore");
  CHECK(governor() == "schedutil");
  CHECK_FALSE(dsn::fs::exists(state));
  outcome = dsn_tool({"restore", "--sysfs-root", tree.root()});
  CHECK(outcome.status == 0);
  CHECK(has(outcome.out, "nothing to put back"));
}

TEST_CASE("dsn profile: what was interrupted is resumed, and energies are measured") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  add_meter(tree);
  const dsn::fakes::TempFolder temp;
  std::vector<std::string> args = profile_of(tree, temp / "lut.json");
  CHECK(dsn_tool(args, {.signals = {SIGINT}, .ready = second_point}).status == 130);
  args.insert(args.end(), {"--resume", "--require-energy", "--min-time", "0ms", "--max-time", "1ms"});
  const Outcome outcome = dsn_tool(args);
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  CHECK(has(outcome.out, "reused"));
  CHECK(has(outcome.out, "frequency set"));
  CHECK(has(outcome.out, "T(f) = A/f + B over 3 frequencies"));
  const Json lut = Json::parse(dsn::read_file(temp / "lut.json"));
  CHECK(lut["points"].size() == 3);
  CHECK(lut["energy_meter"]["id"] == "VDD_IN");
  CHECK(lut["energy_meter"]["points"].size() == 3);
  for (const Json& level : lut["levels"])
    for (const Json& entry : level["at"]) CHECK(entry["energy_origin"] == "measured");
  CHECK(tree.get(FakeSysfs::policy(0, "scaling_governor")) == "schedutil");
}

TEST_CASE("dsn profile: what cannot be measured or set is exit 4, with advice, before anything is measured") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  const dsn::fakes::TempFolder temp;
  std::vector<std::string> args = profile_of(tree, temp / "lut.json");
  args.emplace_back("--require-energy");
  Outcome outcome = dsn_tool(args);
  CHECK(outcome.status == 4);
  CHECK(is_one_error(outcome.err, "dsn profile"));
  CHECK(has(outcome.err, "dsn doctor"));

  tree.remove(FakeSysfs::policy(0, "scaling_max_freq"));
  outcome = dsn_tool(profile_of(tree, temp / "lut.json"));
  CHECK(outcome.status == 4);
  CHECK(has(outcome.err, "scaling_max_freq"));
  CHECK_FALSE(dsn::fs::exists(temp / "lut.json"));

  outcome = dsn_tool({"restore", temp / "none.json"});
  CHECK(outcome.status == 2);
  CHECK(is_one_error(outcome.err, "dsn restore"));
}

TEST_CASE(
    "dsn profile --quick: held-out sub-networks, loads, the machine's speed, resumed and against a first") {
  const FakeSysfs tree;
  const dsn::fakes::TempFolder temp;
  const std::string first = temp / "first.json", second = temp / "second.json";
  const auto quick = [&](const std::string& out, std::vector<std::string> more) {
    std::vector<std::string> args = {
        "profile",           "--supernet", kSupernet,      "--quick",   "--threads",  "1",
        "--contention",      "0,0.5",      "--patience",   "0s",        "--max-time", "40ms",
        "--contention-kind", "compute",    "--sysfs-root", tree.root(), "--out",      out};
    args.insert(args.end(), more.begin(), more.end());
    return dsn_tool(args);
  };
  Outcome outcome = quick(first, {});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  for (const char* part :
       {"held out of the fit: MAPE", "n=6", "machine at its own speed", "1 compute worker"})
    CHECK_MESSAGE(has(outcome.out, part), outcome.out);
  const Json lut = Json::parse(dsn::read_file(first));
  CHECK(lut["points"][0]["correction"]["held_out"]["count"] == 6);
  CHECK(lut["points"][0]["speed"]["probes"].get<int>() > 20);
  CHECK(lut["loads"] == Json::array({{{"kind", "compute"}, {"workers", 1}}}));
  int beside = 0;
  for (const Json& level : lut["levels"]) beside += level.contains("beside") ? 1 : 0;
  CHECK(beside == 2);

  outcome = quick(first, {"--resume"});
  CHECK(outcome.status == 0);
  CHECK_MESSAGE(has(outcome.out, ": 0 entries measured"), outcome.out);

  outcome = quick(second, {"--against", first});
  CHECK(outcome.status == 0);
  CHECK_MESSAGE(has(outcome.out, "against " + first), outcome.out);
  CHECK(Json::parse(dsn::read_file(second))["against"][0]["levels"].get<int>() > 10);

  outcome = quick(second, {"--contention-kind", "disk"});
  CHECK(outcome.status == 2);
}

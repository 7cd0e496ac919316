// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/frequency_state.h"

#include <doctest/doctest.h>

#include <string>

#include "dsn/core/error.h"
#include "dsn/core/json.h"
#include "dsn/platform/dvfs.h"
#include "fake_sysfs.h"
#include "fakes/error_of.h"

using dsn::Error;
using dsn::ErrorCode;
using dsn::Json;
using dsn::fakes::error_of;
using dsn::test::FakeSysfs;

namespace {

struct Machine {
  FakeSysfs tree;
  std::filesystem::path state = dsn::default_frequency_state(tree.root());

  Machine() {
    tree.add_policy(0, "0 1");
    tree.add_policy(2, "2 3", "performance powersave");
    tree.put(FakeSysfs::policy(2, "scaling_available_frequencies"), "2000000 1000000\n");
    tree.put(FakeSysfs::policy(2, "scaling_max_freq"), "2000000\n");
  }
  [[nodiscard]] std::unique_ptr<dsn::FrequencyControl> control() const {
    const auto platform = dsn::parse_platform(dsn::discover_platform(tree.root()), "discovered");
    return dsn::make_frequency_control(platform, {tree.root(), state});
  }
  [[nodiscard]] std::string get(int policy, const std::string& file) const {
    return tree.get(FakeSysfs::policy(policy, file));
  }
  // As if the process that wrote the state had been killed.
  void kill_owner() const {
    Json document = dsn::read_document(state, "dsn.frequencies");
    document["owner"]["start_ticks"] = document["owner"]["start_ticks"].get<std::int64_t>() + 1;
    dsn::write_file_atomic(state, dsn::dump_json(document));
  }
  // What a killed dsn leaves behind: both policies moved, and a state file.
  void leave_behind() const {
    const auto dying = control();
    dying->set_opp(0, 0);
    dying->set_opp(1, 0);
    const std::string text = dsn::read_file(state);
    const std::string speed = get(0, "scaling_setspeed"), low = get(2, "scaling_max_freq");
    dying->restore();
    tree.put(FakeSysfs::policy(0, "scaling_governor"), "userspace\n");
    tree.put(FakeSysfs::policy(0, "scaling_setspeed"), speed + "\n");
    for (const char* limit : {"scaling_min_freq", "scaling_max_freq"})
      tree.put(FakeSysfs::policy(2, limit), low + "\n");
    dsn::write_file_atomic(state, text);
    kill_owner();
  }
};

}  // namespace

TEST_CASE("state file: written before the first change, with all knobs, and removed when all is back") {
  const Machine machine;
  const auto control = machine.control();
  CHECK_FALSE(dsn::fs::exists(machine.state));
  // The first write fails here: what was found is in the file by then.
  machine.tree.block(FakeSysfs::policy(0, "scaling_setspeed"));
  CHECK_THROWS_AS(control->set_opp(0, 0), Error);
  const Json document = dsn::read_document(machine.state, "dsn.frequencies");
  REQUIRE(document["knobs"].size() == 2);
  CHECK(document["knobs"][0]["name"] == "policy0");
  CHECK(document["knobs"][0]["governor"] == "schedutil");
  CHECK(document["knobs"][0]["moves"] == "governor");
  CHECK(document["knobs"][1]["moves"] == "limits");
  CHECK(document["knobs"][1]["max_freq_hz"] == 2000000000);
  control->restore();
  CHECK_FALSE(dsn::fs::exists(machine.state));
  CHECK(machine.get(0, "scaling_governor") == "schedutil");
}

TEST_CASE("state file: one that cannot be written means that nothing is changed") {
  const Machine machine;
  machine.tree.put("var/lib/dsn", "a file where a folder should be");
  const auto control = machine.control();
  const Error error = error_of([&] { control->set_opp(0, 0); });
  CHECK(error.message().find("frequencies are left alone") != std::string::npos);
  CHECK(error.hint().find("--state") != std::string::npos);
  CHECK(machine.get(0, "scaling_governor") == "schedutil");
}

TEST_CASE("restore_frequencies: puts back what a killed process left, and removes the file") {
  const Machine machine;
  machine.leave_behind();
  const auto dry = dsn::restore_frequencies(machine.state, machine.tree.root(), false, true);
  CHECK(dry.knobs.size() == 2);
  CHECK(machine.get(0, "scaling_governor") == "userspace");

  const auto done = dsn::restore_frequencies(machine.state, machine.tree.root());
  CHECK(done.found);
  CHECK(done.complete());
  CHECK_FALSE(done.other_boot);
  REQUIRE(done.knobs.size() == 2);
  CHECK(done.knobs[0].was == "schedutil");
  CHECK(done.knobs[1].was == "schedutil, 400 MHz to 2.00 GHz");
  CHECK(machine.get(0, "scaling_governor") == "schedutil");
  CHECK(machine.get(2, "scaling_min_freq") == "400000");
  CHECK(machine.get(2, "scaling_max_freq") == "2000000");
  CHECK_FALSE(dsn::fs::exists(machine.state));
  CHECK_FALSE(dsn::restore_frequencies(machine.state, machine.tree.root()).found);
}

TEST_CASE("restore_frequencies: what cannot be put back is named with advice, and the file is kept") {
  const Machine machine;
  machine.leave_behind();
  machine.tree.remove("sys/devices/system/cpu/cpufreq/policy0");
  const auto done = dsn::restore_frequencies(machine.state, machine.tree.root());
  CHECK_FALSE(done.complete());
  CHECK(done.knobs[0].problem.find("policy0/scaling_governor") != std::string::npos);
  CHECK_FALSE(done.knobs[0].hint.empty());
  CHECK(done.knobs[1].problem.empty());
  CHECK(machine.get(2, "scaling_min_freq") == "400000");
  CHECK(dsn::fs::exists(machine.state));
}

TEST_CASE("restore_frequencies: refused while the process that set them runs, unless forced") {
  const Machine machine;
  const auto control = machine.control();
  control->set_opp(0, 0);
  const Error error = error_of([&] { (void)dsn::restore_frequencies(machine.state, machine.tree.root()); });
  CHECK(error.code() == ErrorCode::unsupported);
  CHECK(error.message().find("still running") != std::string::npos);
  CHECK(machine.get(0, "scaling_governor") == "userspace");
  CHECK(dsn::restore_frequencies(machine.state, machine.tree.root(), true).complete());
  CHECK(machine.get(0, "scaling_governor") == "schedutil");
}

TEST_CASE("frequency control: what a killed process left is put back before anything is saved") {
  const Machine machine;
  machine.leave_behind();
  {
    const auto control = machine.control();
    control->set_opp(0, 1);
    const Json document = dsn::read_document(machine.state, "dsn.frequencies");
    CHECK(document["knobs"][0]["governor"] == "schedutil");
    CHECK(document["knobs"][1]["min_freq_hz"] == 400000000);
  }
  CHECK(machine.get(0, "scaling_governor") == "schedutil");
  CHECK(machine.get(2, "scaling_max_freq") == "2000000");
}

TEST_CASE("frequency control: two processes do not set frequencies at once") {
  const Machine machine;
  const auto first = machine.control();
  first->set_opp(0, 0);
  const auto second = machine.control();
  CHECK(error_of([&] { second->set_opp(0, 1); }).message().find("still running") != std::string::npos);
}

TEST_CASE("frequency control: what restore() could not put back is told, and its state is kept") {
  const Machine machine;
  const auto control = machine.control();
  control->set_opp(0, 0);
  machine.tree.block(FakeSysfs::policy(0, "scaling_governor"));
  control->restore();
  REQUIRE(control->not_restored().size() == 1);
  CHECK(control->not_restored()[0].find("cannot put back policy0") != std::string::npos);
  CHECK(dsn::fs::exists(machine.state));
}

TEST_CASE("state file: one that leads out of /sys or is no state file is refused") {
  const Machine machine;
  machine.leave_behind();
  Json document = dsn::read_document(machine.state, "dsn.frequencies");
  document["knobs"][0]["name"] = "../../../etc";
  dsn::write_file_atomic(machine.state, dsn::dump_json(document));
  CHECK(error_of([&] { (void)dsn::restore_frequencies(machine.state, machine.tree.root()); }).code() ==
        ErrorCode::bad_input);
  document["knobs"][0]["name"] = "policy0";
  document["knobs"][0]["tunables"] = {{{"file", "etc/passwd"}, {"value", "x"}}};
  dsn::write_file_atomic(machine.state, dsn::dump_json(document));
  CHECK(error_of([&] { (void)dsn::restore_frequencies(machine.state, machine.tree.root()); }).code() ==
        ErrorCode::bad_input);
  dsn::write_file_atomic(machine.state, "{}");
  CHECK(error_of([&] { (void)dsn::restore_frequencies(machine.state, machine.tree.root()); }).code() ==
        ErrorCode::bad_input);
}

// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/dvfs.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <stdexcept>
#include <string>

#include "dsn/core/error.h"
#include "dsn/platform/sysfs.h"
#include "fake_sysfs.h"

using dsn::Error;
using dsn::ErrorCode;
using dsn::test::FakeSysfs;

namespace {

dsn::Platform discovered(const FakeSysfs& tree) {
  return dsn::parse_platform(dsn::discover_platform(tree.root()), "discovered");
}

std::unique_ptr<dsn::FrequencyControl> control_of(const FakeSysfs& tree) {
  return dsn::make_frequency_control(discovered(tree), {tree.root(), {}});
}

std::string get(const FakeSysfs& tree, const std::string& file, int policy = 0) {
  return tree.get(FakeSysfs::policy(policy, file));
}

Error failure_of(dsn::FrequencyControl& control, std::size_t cluster, std::size_t opp) {
  try {
    control.set_opp(cluster, opp);
  } catch (const Error& error) {
    return error;
  }
  FAIL("no error");
  return Error(ErrorCode::failed, "");
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("cpufreq control: sets every policy of the cluster by userspace and restores the governor") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  tree.add_policy(2, "2 3");
  const auto control = control_of(tree);
  CHECK(control->can_set(0));
  CHECK(control->frequency(0) == 400e6);
  CHECK(control->set_opp(0, 1) == 800e6);
  for (const int policy : {0, 2}) {
    CHECK(get(tree, "scaling_governor", policy) == "userspace");
    CHECK(get(tree, "scaling_setspeed", policy) == "800000");
    CHECK(get(tree, "scaling_min_freq", policy) == "400000");
    CHECK(get(tree, "scaling_max_freq", policy) == "1200000");
  }
  CHECK(control->set_opp(0, 2) == 1200e6);
  CHECK(get(tree, "scaling_setspeed") == "1200000");
  control->restore();
  for (const int policy : {0, 2}) CHECK(get(tree, "scaling_governor", policy) == "schedutil");
}

TEST_CASE("cpufreq control: nothing is written before the first set_opp") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  {
    const auto control = control_of(tree);
    CHECK(control->can_set(0));
    tree.put(FakeSysfs::policy(0, "scaling_governor"), "ondemand\n");
    control->restore();
  }
  CHECK(get(tree, "scaling_governor") == "ondemand");
}

TEST_CASE("cpufreq control: restore is idempotent and does not undo what others did later") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  {
    const auto control = control_of(tree);
    control->set_opp(0, 0);
    control->restore();
    CHECK(get(tree, "scaling_governor") == "schedutil");
    tree.put(FakeSysfs::policy(0, "scaling_governor"), "performance\n");
    control->restore();
  }
  CHECK(get(tree, "scaling_governor") == "performance");
}

TEST_CASE("cpufreq control: a set speed under userspace comes back") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  tree.put(FakeSysfs::policy(0, "scaling_governor"), "userspace\n");
  tree.put(FakeSysfs::policy(0, "scaling_setspeed"), "800000\n");
  {
    const auto control = control_of(tree);
    control->set_opp(0, 0);
    CHECK(get(tree, "scaling_setspeed") == "400000");
  }
  CHECK(get(tree, "scaling_governor") == "userspace");
  CHECK(get(tree, "scaling_setspeed") == "800000");
}

TEST_CASE("cpufreq control: without userspace it pins minimum and maximum, and widens them again") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1", "performance powersave");
  {
    const auto control = control_of(tree);
    for (const std::size_t opp : {std::size_t{2}, std::size_t{0}, std::size_t{1}}) {
      const double freq_hz = control->set_opp(0, opp);
      const std::string khz = std::to_string(400000 + 400000 * static_cast<int>(opp));
      CHECK(freq_hz == std::stod(khz) * 1e3);
      CHECK(get(tree, "scaling_min_freq") == khz);
      CHECK(get(tree, "scaling_max_freq") == khz);
    }
    CHECK(get(tree, "scaling_governor") == "schedutil");
  }
  CHECK(get(tree, "scaling_min_freq") == "400000");
  CHECK(get(tree, "scaling_max_freq") == "1200000");
}

TEST_CASE("cpufreq control: pinning stays inside the limits that were there and returns what it got") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1", "performance");
  tree.put(FakeSysfs::policy(0, "scaling_max_freq"), "800000\n");
  const auto control = control_of(tree);
  CHECK(control->set_opp(0, 2) == 800e6);
  CHECK(get(tree, "scaling_max_freq") == "800000");
}

// The order is seen through a limit that cannot be written: what was written before it has changed, what
// comes after has not.
TEST_CASE("cpufreq control: going down lowers the minimum first, going up raises the maximum first") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1", "performance");
  const auto control = control_of(tree);
  control->set_opp(0, 2);
  tree.block(FakeSysfs::policy(0, "scaling_max_freq"));
  CHECK(contains(failure_of(*control, 0, 0).message(), "scaling_max_freq"));
  CHECK(get(tree, "scaling_min_freq") == "400000");

  tree.remove(FakeSysfs::policy(0, "scaling_max_freq"));
  tree.put(FakeSysfs::policy(0, "scaling_max_freq"), "");
  control->set_opp(0, 0);
  tree.block(FakeSysfs::policy(0, "scaling_min_freq"));
  CHECK(contains(failure_of(*control, 0, 2).message(), "scaling_min_freq"));
  CHECK(get(tree, "scaling_max_freq") == "1200000");
}

TEST_CASE("cpufreq control: an exception on the way restores") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  try {
    const auto control = control_of(tree);
    control->set_opp(0, 0);
    CHECK(get(tree, "scaling_governor") == "userspace");
    throw std::runtime_error("something else went wrong");
  } catch (const std::runtime_error&) {
  }
  CHECK(get(tree, "scaling_governor") == "schedutil");
}

TEST_CASE("cpufreq control: a failure in one policy names its file, and the others are restored") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  tree.add_policy(2, "2 3");
  {
    const auto control = control_of(tree);
    tree.block(FakeSysfs::policy(2, "scaling_setspeed"));
    const Error error = failure_of(*control, 0, 1);
    CHECK(error.code() == ErrorCode::io);
    CHECK(contains(error.message(), "cannot set policy2 to 800 MHz"));
    CHECK(contains(error.message(), "policy2/scaling_setspeed"));
    CHECK(get(tree, "scaling_governor", 0) == "userspace");
  }
  for (const int policy : {0, 2}) CHECK(get(tree, "scaling_governor", policy) == "schedutil");
}

TEST_CASE("cpufreq control: a restore that fails is tried again") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  const auto control = control_of(tree);
  control->set_opp(0, 0);
  tree.block(FakeSysfs::policy(0, "scaling_governor"));
  control->restore();
  tree.remove(FakeSysfs::policy(0, "scaling_governor"));
  tree.put(FakeSysfs::policy(0, "scaling_governor"), "userspace\n");
  control->restore();
  CHECK(get(tree, "scaling_governor") == "schedutil");
}

TEST_CASE("cpufreq control: a missing policy is unsupported, names the file and says what to do") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  const dsn::Platform platform = discovered(tree);
  tree.remove("sys/devices/system/cpu/cpufreq/policy0");
  const auto control = dsn::make_frequency_control(platform, {tree.root(), {}});
  CHECK_FALSE(control->can_set(0));
  CHECK(control->frequency(0) == 0);
  const Error error = failure_of(*control, 0, 0);
  CHECK(error.code() == ErrorCode::unsupported);
  CHECK(contains(error.message(), "policy0/scaling_governor"));
  CHECK(contains(error.hint(), "knob"));
}

TEST_CASE("cpufreq control: clusters that cannot be set say why") {
  const FakeSysfs tree;
  tree.put("sys/devices/system/cpu/online", "0-1\n");
  const auto fixed = control_of(tree);
  CHECK_FALSE(fixed->can_set(0));
  CHECK_FALSE(fixed->can_set(7));
  CHECK(failure_of(*fixed, 0, 0).code() == ErrorCode::unsupported);
  CHECK(failure_of(*fixed, 0, 1).code() == ErrorCode::bad_usage);
  CHECK(failure_of(*fixed, 1, 0).code() == ErrorCode::bad_usage);
}

TEST_CASE("knob_error: each errno has its own code, reason and advice") {
  const auto of = [](int error) {
    return dsn::sysfs::knob_error(error, "cannot set policy4 to 1.50 GHz", "/sys/p4",
                                  dsn::sysfs::KnobKind::cpufreq);
  };
  CHECK(of(EACCES).code() == ErrorCode::permission);
  CHECK(of(EPERM).code() == ErrorCode::permission);
  CHECK(of(EACCES).message() == "cannot set policy4 to 1.50 GHz: permission denied (/sys/p4)");
  std::vector<std::string> hints{of(EACCES).hint()};
  for (const int error : {EROFS, ENOENT, EBUSY, EINVAL}) {
    CHECK(of(error).code() == ErrorCode::unsupported);
    CHECK_FALSE(of(error).hint().empty());
    for (const std::string& other : hints) CHECK(of(error).hint() != other);
    hints.push_back(of(error).hint());
  }
  CHECK(of(ENODEV).code() == ErrorCode::unsupported);
  CHECK(of(EIO).code() == ErrorCode::io);
  CHECK(contains(of(EISDIR).message(), "directory"));
}

TEST_CASE("frequency control: transitions are counted and timed, and what was missed is told") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1", "performance");
  tree.put(FakeSysfs::policy(0, "scaling_max_freq"), "800000\n");
  const auto control = control_of(tree);
  CHECK(control->transitions(0).count == 0);
  for (const std::size_t opp : {0u, 1u, 2u}) control->set_opp(0, opp);
  const dsn::Transitions done = control->transitions(0);
  CHECK(done.count == 3);
  CHECK(done.missed == 1);  // 1.2 GHz is above the limit that was found
  CHECK(done.requested_hz == 1200e6);
  CHECK(done.achieved_hz == 800e6);
  CHECK(done.first_s > 0);
  CHECK(done.mean_s > 0);
  CHECK(done.longest_s >= done.mean_s);
}

TEST_CASE("frequency control: says why a cluster cannot be set, and nothing when it can") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  const auto control = control_of(tree);
  CHECK_FALSE(control->obstacle(0).has_value());
  tree.remove(FakeSysfs::policy(0, "scaling_max_freq"));
  REQUIRE(control->obstacle(0).has_value());
  CHECK(contains(control->obstacle(0)->message(), "policy0/scaling_max_freq"));
  CHECK(control->obstacle(0)->code() == ErrorCode::unsupported);
  CHECK(control->obstacle(5)->code() == ErrorCode::bad_usage);
}

TEST_CASE("frequency control: what another one undid shows, and is set again") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  const auto control = control_of(tree);
  CHECK(control->holds(0));
  control->set_opp(0, 1);
  CHECK(control->holds(0));
  // What a policy shows whose CPUs were offline meanwhile, on Linux 6.1.
  tree.put(FakeSysfs::policy(0, "scaling_setspeed"), "1200000\n");
  CHECK_FALSE(control->holds(0));
  control->set_opp(0, 1);
  CHECK(control->holds(0));
}

TEST_CASE("frequency control: after restore_for_good() nothing is set any more") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  const auto control = control_of(tree);
  control->set_opp(0, 0);
  control->restore_for_good();
  CHECK(get(tree, "scaling_governor") == "schedutil");
  CHECK(failure_of(*control, 0, 1).code() == ErrorCode::interrupted);
  CHECK(get(tree, "scaling_governor") == "schedutil");
}

TEST_CASE("frequency control: the governor's tunables come back with it") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  const std::string own = FakeSysfs::policy(0, "schedutil/rate_limit_us");
  tree.put(own, "2000\n");
  const auto control = control_of(tree);
  control->set_opp(0, 0);
  tree.put(own, "1000\n");  // the kernel makes the folder anew, with defaults
  control->restore();
  CHECK(tree.get(own) == "2000");
}

TEST_CASE("frequency control: a GPU is set through devfreq, in hertz") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  tree.add_gpu("17000000.gv11b");
  const auto control = control_of(tree);
  REQUIRE(control->can_set(1));
  CHECK(control->frequency(1) == 114750000);
  tree.put("sys/class/devfreq/17000000.gv11b/cur_freq", "510000000\n");  // what the driver will have
  CHECK(control->set_opp(1, 1) == 510e6);
  const auto gpu = [&](const std::string& file) {
    return tree.get("sys/class/devfreq/17000000.gv11b/" + file);
  };
  CHECK(gpu("governor") == "userspace");
  CHECK(gpu("userspace/set_freq") == "510000000");
  control->restore();
  CHECK(gpu("governor") == "nvhost_podgov");
}

TEST_CASE(
    "frequency control: a GPU without the userspace governor is pinned by its limits, 0 being no limit") {
  const FakeSysfs tree;
  tree.add_gpu("mali", "simple_ondemand performance");
  const std::string base = "sys/class/devfreq/mali/";
  tree.put(base + "max_freq", "0\n");
  const auto control = control_of(tree);
  REQUIRE(control->can_set(1));
  CHECK(control->set_opp(1, 2) == 1109250000);
  CHECK(tree.get(base + "min_freq") == "1109250000");
  CHECK(tree.get(base + "max_freq") == "1109250000");
  control->restore();
  CHECK(tree.get(base + "min_freq") == "114750000");
  CHECK(tree.get(base + "max_freq") == "0");
}

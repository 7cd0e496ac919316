// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include "dsn/platform/platform.h"
#include "dsn/platform/sysfs.h"
#include "fake_sysfs.h"

using dsn::Json;
using dsn::test::FakeSysfs;

namespace {

bool warns(const Json& document, const std::string& part) {
  for (const Json& line : document["warnings"]) {
    if (line.get<std::string>().find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("discover_platform: alike policies are one cluster with a knob list") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  tree.add_policy(2, "2 3");
  tree.put("proc/cpuinfo", "processor\t: 0\nmodel name\t: A Chip @ 1.2GHz\n");
  const Json document = dsn::discover_platform(tree.root());
  const dsn::Platform platform = dsn::parse_platform(document, "discovered");
  CHECK(platform.name == "A Chip @ 1.2GHz");
  REQUIRE(platform.clusters.size() == 1);
  const dsn::Cluster& cpu = platform.clusters[0];
  CHECK(cpu.name == "cpu");
  CHECK(cpu.knob == "policy0,policy2");
  CHECK(cpu.cpus == std::vector<int>{0, 1, 2, 3});
  CHECK(cpu.transition_latency_s == doctest::Approx(300e-6));
  REQUIRE(cpu.opps.size() == 3);
  CHECK(cpu.opps.front().freq_hz == 400e6);
  CHECK(cpu.opps.back().freq_hz == 1200e6);
  CHECK_FALSE(platform.power_known);
  CHECK(document["power"].is_null());
  CHECK(document["power_reason"].is_string());
  CHECK(document["warnings"].empty());
}

TEST_CASE("discover_platform: unlike policies are clusters from slow to fast") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  tree.put(FakeSysfs::policy(0, "scaling_available_frequencies"), "2000000 1000000\n");
  tree.add_policy(2, "2 3");
  const dsn::Platform platform = dsn::parse_platform(dsn::discover_platform(tree.root()), "discovered");
  REQUIRE(platform.clusters.size() == 2);
  CHECK(platform.clusters[0].name == "little");
  CHECK(platform.clusters[0].knob == "policy2");
  CHECK(platform.clusters[1].name == "big");
  CHECK(platform.clusters[1].opps.back().freq_hz == 2e9);
}

TEST_CASE("discover_platform: equal frequencies but other CPU capacity is another cluster") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  tree.add_policy(2, "2 3");
  tree.put("sys/devices/system/cpu/cpu0/cpu_capacity", "1024\n");
  tree.put("sys/devices/system/cpu/cpu2/cpu_capacity", "500\n");
  const dsn::Platform platform = dsn::parse_platform(dsn::discover_platform(tree.root()), "discovered");
  REQUIRE(platform.clusters.size() == 2);
  CHECK(platform.clusters[0].knob == "policy2");
}

TEST_CASE(
    "discover_platform: a driver without a table gives minimum and maximum, and an unknown latency is null") {
  const FakeSysfs tree;
  tree.add_policy(0, "0");
  tree.remove(FakeSysfs::policy(0, "scaling_available_frequencies"));
  tree.put(FakeSysfs::policy(0, "cpuinfo_transition_latency"), "4294967295\n");
  const Json document = dsn::discover_platform(tree.root());
  CHECK(warns(document, "fake-cpufreq"));
  CHECK(document["clusters"][0]["transition_latency_s"].is_null());
  CHECK(document["clusters"][0]["transition_latency_s_reason"].is_string());
  const dsn::Platform platform = dsn::parse_platform(document, "discovered");
  REQUIRE(platform.clusters[0].opps.size() == 2);
  CHECK(platform.clusters[0].opps[0].freq_hz == 400e6);
  CHECK(platform.clusters[0].opps[1].freq_hz == 1200e6);
}

TEST_CASE(
    "discover_platform: without cpufreq there is one cluster of unknown frequency over the online CPUs") {
  const FakeSysfs tree;
  tree.put("sys/devices/system/cpu/online", "0-2,5\n");
  tree.put("sys/devices/system/cpu/cpufreq/boost", "1\n");
  tree.put("proc/device-tree/model", std::string("A Board\0", 8));
  const Json document = dsn::discover_platform(tree.root());
  CHECK(warns(document, "no cpufreq policy"));
  const dsn::Platform platform = dsn::parse_platform(document, "discovered");
  CHECK(platform.name == "A Board");
  REQUIRE(platform.clusters.size() == 1);
  CHECK(platform.clusters[0].cpus == std::vector<int>{0, 1, 2, 5});
  REQUIRE(platform.clusters[0].opps.size() == 1);
  CHECK(platform.clusters[0].opps[0].freq_hz == 0);
  CHECK(platform.clusters[0].knob.empty());
}

TEST_CASE("discover_platform: an empty file system gives a valid description and says what is missing") {
  const FakeSysfs tree;
  const Json document = dsn::discover_platform(tree.root());
  CHECK(document["warnings"].size() == 3);
  CHECK(dsn::parse_platform(document, "discovered").clusters.size() == 1);
}

TEST_CASE("discover_platform: devfreq GPUs are clusters, by name or driver; memory controllers are not") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  tree.add_gpu("17000000.gv11b");
  tree.add_gpu("11800000.device");
  tree.put("sys/class/devfreq/11800000.device/device/uevent", "DRIVER=panfrost\n");
  tree.add_gpu("10c20000.memory-controller");
  const dsn::Platform platform = dsn::parse_platform(dsn::discover_platform(tree.root()), "discovered");
  REQUIRE(platform.clusters.size() == 3);
  CHECK(platform.clusters[1].name == "gpu");
  CHECK(platform.clusters[1].knob == "11800000.device");
  CHECK(platform.clusters[2].name == "gpu1");
  CHECK(platform.clusters[2].kind == dsn::ClusterKind::gpu);
  CHECK(platform.clusters[2].opps.back().freq_hz == 1109250000);
}

TEST_CASE("discover_platform: a policy that cannot be read is left out with a warning") {
  const FakeSysfs tree;
  tree.add_policy(0, "0 1");
  tree.add_policy(2, "2 3");
  tree.remove(FakeSysfs::policy(2, "related_cpus"));
  const Json document = dsn::discover_platform(tree.root());
  CHECK(warns(document, "policy2"));
  CHECK(document["clusters"].size() == 1);
  CHECK(document["clusters"][0]["knob"] == "policy0");
}

TEST_CASE("discover_platform: this machine gives a description that parses") {
  const dsn::Platform platform = dsn::parse_platform(dsn::discover_platform(), "discovered");
  CHECK_FALSE(platform.clusters.empty());
  CHECK_FALSE(platform.clusters[0].cpus.empty());
}

TEST_CASE("parse_cpu_list: ranges, lists and rubbish") {
  CHECK(dsn::sysfs::parse_cpu_list("0-3,6\n") == std::vector<int>{0, 1, 2, 3, 6});
  CHECK(dsn::sysfs::parse_cpu_list("4 5 4") == std::vector<int>{4, 5});
  CHECK(dsn::sysfs::parse_cpu_list("").empty());
  CHECK(dsn::sysfs::parse_cpu_list("none").empty());
  CHECK(dsn::sysfs::parse_cpu_list("2-").size() == 1);
  CHECK(dsn::sysfs::parse_cpu_list("0-999999999").size() <= 65536);
}

// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/json.h"
#include "support.h"

using dsn::Json;
using dsn_test::TempFolder;

TEST_CASE("host_context: on this machine it has every field, or null with a reason, and can be written") {
  const Json context = dsn::host_context();
  for (const char* field :
       {"host", "kernel", "machine", "cpu_model", "cores", "load_average", "cpufreq", "temperatures"}) {
    CAPTURE(field);
    REQUIRE(context.contains(field));
    if (context[field].is_null()) CHECK(context[std::string(field) + "_reason"].is_string());
  }
  CHECK(context["cores"].get<int>() > 0);
  CHECK(context["libraries"]["fmt"].is_string());
  CHECK(context["build"]["sanitizers"].is_array());
  CHECK_NOTHROW((void)dsn::dump_json(context));
}

TEST_CASE("host_context: reads governors, frequencies and temperatures in SI units") {
  const TempFolder root;
  root.put("proc/cpuinfo", "processor\t: 0\nmodel name\t: Test CPU @ 2 GHz\nflags\t: x\n");
  root.put("proc/loadavg", "0.50 1.25 2.00 1/100 4242\n");
  for (const std::string policy : {"policy4", "policy0"}) {
    root.put("sys/devices/system/cpu/cpufreq/" + policy + "/scaling_governor", "schedutil\n");
    root.put("sys/devices/system/cpu/cpufreq/" + policy + "/scaling_cur_freq", "1420800\n");
  }
  root.put("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
  root.put("sys/class/thermal/thermal_zone0/temp", "45500\n");
  const Json context = dsn::host_context(root.path());
  CHECK(context["cpu_model"] == "Test CPU @ 2 GHz");
  CHECK(context["load_average"] == Json::array({0.5, 1.25, 2.0}));
  CHECK(context["cpufreq"] ==
        Json::array({{{"policy", "policy0"}, {"governor", "schedutil"}, {"freq_hz", 1420800000.0}},
                     {{"policy", "policy4"}, {"governor", "schedutil"}, {"freq_hz", 1420800000.0}}}));
  CHECK(context["temperatures"] ==
        Json::array({{{"zone", "thermal_zone0"}, {"type", "cpu-thermal"}, {"temp_c", 45.5}}}));
}

TEST_CASE("host_context: where /proc and /sys say nothing or nonsense, fields are null with a reason") {
  const TempFolder root;
  const Json nothing = dsn::host_context(root.path());
  for (const char* field : {"cpu_model", "load_average", "cpufreq", "temperatures"}) {
    CAPTURE(field);
    CHECK(nothing[field].is_null());
    CHECK(nothing[std::string(field) + "_reason"].is_string());
  }
  root.put("proc/cpuinfo", "model name");
  root.put("proc/loadavg", "busy");
  root.put("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "\xff\n");
  root.put("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "<unknown>\n");
  root.put("sys/class/thermal/thermal_zone0/temp", "");
  const Json nonsense = dsn::host_context(root.path());
  CHECK(nonsense["cpu_model"].is_null());
  CHECK(nonsense["load_average"].is_null());
  CHECK(nonsense["cpufreq"][0]["freq_hz"].is_null());
  CHECK(nonsense["cpufreq"][0]["freq_hz_reason"].is_string());
  CHECK(nonsense["temperatures"][0]["temp_c"].is_null());
  CHECK_NOTHROW((void)dsn::dump_json(nonsense));
}

TEST_CASE("host_context: without a model in cpuinfo the device tree names the board") {
  const TempFolder root;
  root.put("proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 62.50\n");
  root.put("proc/device-tree/model", std::string("NVIDIA Jetson Xavier NX\0", 24));
  CHECK(dsn::host_context(root.path())["cpu_model"] == "NVIDIA Jetson Xavier NX");
}

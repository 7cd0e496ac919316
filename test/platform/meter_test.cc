// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/meter.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "dsn/core/error.h"
#include "fake_sysfs.h"

using dsn::EnergyReading;
using dsn::Error;
using dsn::ErrorCode;
using dsn::test::FakeSysfs;

namespace {

void pause(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

void add_rapl(const FakeSysfs& tree) {
  const auto zone = [&](const std::string& folder, const std::string& name, const std::string& energy_uj) {
    const std::string base = "sys/class/powercap/" + folder + "/";
    tree.put(base + "name", name + "\n");
    tree.put(base + "energy_uj", energy_uj + "\n");
    tree.put(base + "max_energy_range_uj", "10000000\n");
  };
  zone("intel-rapl:0", "package-0", "9000000");
  zone("intel-rapl:0:0", "core", "1000000");
  zone("intel-rapl:0:1", "dram", "2000000");
  zone("intel-rapl:1", "psys", "5000000");
  zone("intel-rapl-mmio:0", "package-0", "9000000");
}

// Three channels at 5 V, 1 A, 2 A and 0.5 A.
void add_ina3221(const FakeSysfs& tree, const std::vector<std::string>& rails) {
  const std::string base = "sys/class/hwmon/hwmon3/";
  tree.put(base + "name", "ina3221\n");
  tree.put(base + "update_interval", "7\n");
  const std::vector<std::string> currents = {"1000", "2000", "500"};
  for (std::size_t k = 0; k < rails.size(); ++k) {
    const std::string n = std::to_string(k + 1);
    tree.put(base + "in" + n + "_label", rails[k] + "\n");
    tree.put(base + "in" + n + "_enable", "1\n");
    tree.put(base + "in" + n + "_input", "5000\n");
    tree.put(base + "curr" + n + "_input", currents[k] + "\n");
  }
}

const dsn::FoundMeter& found(const std::vector<dsn::FoundMeter>& meters, const std::string& id) {
  for (const auto& meter : meters)
    if (meter.info.id == id) return meter;
  throw std::runtime_error("no meter " + id);
}

}  // namespace

TEST_CASE("meters: RAPL counts packages and memory, not what is inside a package or shown twice") {
  const FakeSysfs tree;
  add_rapl(tree);
  const auto meter = dsn::open_meter("auto", tree.root());
  REQUIRE(meter);
  CHECK(meter->info().id == "rapl");
  CHECK(meter->info().covers == "CPU package-0, dram");
  CHECK(meter->info().counter);
  meter->start();
  tree.put("sys/class/powercap/intel-rapl:0/energy_uj", "9500000\n");
  tree.put("sys/class/powercap/intel-rapl:0:0/energy_uj", "1400000\n");
  tree.put("sys/class/powercap/intel-rapl:0:1/energy_uj", "2100000\n");
  tree.put("sys/class/powercap/intel-rapl:1/energy_uj", "9900000\n");
  pause(0.01);
  const EnergyReading reading = meter->stop();
  CHECK(reading.energy_j == doctest::Approx(0.6));
  CHECK(reading.samples >= 2);
  CHECK(reading.seconds > 0.009);
  CHECK(reading.resolution_j > 0);
}

TEST_CASE("meters: a counter that wraps between two windows' ends counts on") {
  const FakeSysfs tree;
  add_rapl(tree);
  const auto meter = dsn::open_meter("rapl", tree.root());
  meter->start();
  tree.put("sys/class/powercap/intel-rapl:0/energy_uj", "250000\n");  // 1 J to the end of 10 J, and 0.25 J
  const EnergyReading reading = meter->stop();
  CHECK(reading.energy_j == doctest::Approx(1.25));
}

TEST_CASE("meters: a counter of a small range is read before it can come round unseen") {
  const FakeSysfs tree;
  add_rapl(tree);
  for (const char* zone : {"intel-rapl:0", "intel-rapl:0:1"})
    tree.put(std::string("sys/class/powercap/") + zone + "/max_energy_range_uj", "20000000\n");
  CHECK(dsn::open_meter("rapl", tree.root())->info().sample_s == doctest::Approx(0.005));
  add_rapl(tree);
  tree.put("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n");
  tree.put("sys/class/powercap/intel-rapl:0:1/max_energy_range_uj", "262143328850\n");
  CHECK(dsn::open_meter("rapl", tree.root())->info().sample_s == doctest::Approx(1.0));
}

TEST_CASE("meters: a board's input rail is the whole board, else the sum of its rails is") {
  const FakeSysfs tree;
  add_ina3221(tree, {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"});
  auto meter = dsn::open_meter("auto", tree.root());
  REQUIRE(meter);
  CHECK(meter->info().id == "VDD_IN");
  CHECK(meter->info().period_s == doctest::Approx(0.007));
  CHECK(meter->info().period_said);
  CHECK(meter->info().window_s == doctest::Approx(0.14));

  add_ina3221(tree, {"GPU", "CPU", "NC"});
  meter = dsn::open_meter("auto", tree.root());
  CHECK(meter->info().id == "rails");
  CHECK(meter->info().covers == "sum of the rails GPU, CPU");
  meter->start();
  pause(0.1);
  const EnergyReading reading = meter->stop();
  CHECK(reading.power_w() == doctest::Approx(15));
  CHECK(reading.energy_j == doctest::Approx(15 * reading.seconds));
  CHECK(reading.samples >= 5);
  CHECK(dsn::open_meter("CPU", tree.root())->info().covers == "rail CPU alone");
}

TEST_CASE("meters: energy is the integral of a power that changes") {
  const FakeSysfs tree;
  add_ina3221(tree, {"VDD_IN", "NC", "NC"});
  const auto meter = dsn::open_meter("auto", tree.root());
  meter->start();
  pause(0.15);
  tree.put("sys/class/hwmon/hwmon3/curr1_input", "3000\n");  // from 5 W to 15 W
  pause(0.15);
  const EnergyReading reading = meter->stop();
  // Where in a sampling period the step fell is not known, and a loaded machine may sleep longer.
  CHECK(reading.power_w() > 7);
  CHECK(reading.power_w() < 13);
}

TEST_CASE("meters: JetPack 4's iio nodes are milliwatts; an unconnected one is left out") {
  const FakeSysfs tree;
  const std::string base = "sys/bus/i2c/drivers/ina3221x/7-0040/iio:device0/";
  const std::vector<std::string> rails = {"POM_5V_IN", "POM_5V_GPU", "NC"};
  for (int k = 0; k < 3; ++k) {
    tree.put(base + "rail_name_" + std::to_string(k), rails[static_cast<std::size_t>(k)] + "\n");
    tree.put(base + "in_power" + std::to_string(k) + "_input", std::to_string(2500 * (k + 1)) + "\n");
  }
  const auto meters = dsn::find_meters(tree.root());
  CHECK(meters.size() == 2);
  const auto meter = dsn::open_meter("auto", tree.root());
  CHECK(meter->info().id == "POM_5V_IN");
  CHECK_FALSE(meter->info().period_said);
  meter->start();
  pause(0.02);
  CHECK(meter->stop().power_w() == doctest::Approx(2.5));
}

TEST_CASE("meters: the Odroid's own driver gives watts as text, of rails known by their address") {
  const FakeSysfs tree;
  for (const auto& [device, watts] : {std::pair{"3-0040", "1.250"}, {"3-0045", "0.125"}}) {
    const std::string base = std::string("sys/bus/i2c/drivers/INA231/") + device + "/";
    tree.put(base + "sensor_W", std::string(watts) + "\n");
    tree.put(base + "enable", "1\n");
  }
  const auto meter = dsn::open_meter("auto", tree.root());
  CHECK(meter->info().covers == "sum of the rails VDD_ARM, VDD_KFC");
  meter->start();
  pause(0.02);
  CHECK(meter->stop().power_w() == doctest::Approx(1.375));
}

TEST_CASE("meters: a battery counts only while it feeds the machine") {
  const FakeSysfs tree;
  const std::string base = "sys/class/power_supply/BAT0/";
  tree.put(base + "type", "Battery\n");
  tree.put(base + "status", "Charging\n");
  tree.put(base + "current_now", "500000\n");
  tree.put(base + "voltage_now", "7400000\n");
  const auto meters = dsn::find_meters(tree.root());
  REQUIRE(meters.size() == 1);
  REQUIRE(meters[0].obstacle.has_value());
  CHECK(meters[0].obstacle->hint() == "unplug the mains adapter");
  CHECK_THROWS_AS((void)dsn::open_meter("BAT0", tree.root()), Error);
  tree.put(base + "status", "Discharging\n");
  // Too slow to be chosen for short measurements, but there for who asks.
  CHECK(dsn::open_meter("auto", tree.root()) == nullptr);
  const auto meter = dsn::open_meter("BAT0", tree.root());
  meter->start();
  pause(0.01);
  CHECK(meter->stop().power_w() == doctest::Approx(3.7));
}

TEST_CASE("meters: a sensor that vanishes is an error that names it, and the next window works again") {
  const FakeSysfs tree;
  add_ina3221(tree, {"VDD_IN", "NC", "NC"});
  const auto meter = dsn::open_meter("auto", tree.root());
  meter->start();
  tree.remove("sys/class/hwmon/hwmon3/curr1_input");
  pause(0.05);
  try {
    (void)meter->stop();
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.message().find("hwmon3") != std::string::npos);
    CHECK(error.message().find("the sensor is gone") != std::string::npos);
  }
  CHECK_THROWS_AS(meter->start(), Error);
  add_ina3221(tree, {"VDD_IN", "NC", "NC"});
  meter->start();
  pause(0.02);
  CHECK(meter->stop().power_w() == doctest::Approx(5));
}

TEST_CASE("meters: a disabled channel is left out, an unreadable sensor says why") {
  const FakeSysfs tree;
  add_ina3221(tree, {"VDD_IN", "CPU", "SOC"});
  tree.put("sys/class/hwmon/hwmon3/in3_enable", "0\n");
  tree.put("sys/class/hwmon/hwmon3/in2_input", "rubbish\n");
  const auto meters = dsn::find_meters(tree.root());
  CHECK(meters.size() == 2);
  const auto& cpu = found(meters, "CPU");
  REQUIRE(cpu.obstacle.has_value());
  CHECK(cpu.obstacle->message().find("in2_input") != std::string::npos);
  CHECK_FALSE(found(meters, "VDD_IN").obstacle.has_value());
}

TEST_CASE("meters: without any, auto gives none and a name says that there are none") {
  const FakeSysfs tree;
  CHECK(dsn::open_meter("auto", tree.root()) == nullptr);
  try {
    (void)dsn::open_meter("rapl", tree.root());
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(error.hint().find("doctor") != std::string::npos);
  }
}

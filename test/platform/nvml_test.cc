// SPDX-License-Identifier: Apache-2.0
// With a stand-in for NVIDIA's library (fake_nvml.cc): no GPU is needed, and none is shown to work.
#include "dsn/platform/nvml.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>

#include "dsn/core/error.h"
#include "dsn/platform/doctor.h"
#include "dsn/platform/meter.h"
#include "fake_sysfs.h"

using dsn::Error;
using dsn::ErrorCode;
using dsn::test::FakeSysfs;

namespace {

struct Machine {
  FakeSysfs tree;
  explicit Machine(const std::string& gpus) {
    tree.put("usr/lib/fake-nvml.txt", gpus);
    std::filesystem::copy_file(DSN_FAKE_NVML, tree.root() / "usr/lib/libnvidia-ml.so.1");
  }
  void set(const std::string& gpus) const { tree.put("usr/lib/fake-nvml.txt", gpus); }
};

void pause(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace

TEST_CASE("Nvml: where there is no library, or one without a driver, there are no GPUs and a reason") {
  const FakeSysfs nothing;
  std::string problem;
  CHECK(dsn::Nvml::open(nothing.root(), problem) == nullptr);
  CHECK(problem.find("libnvidia-ml.so.1") != std::string::npos);
  const Machine no_driver("");
  CHECK(dsn::Nvml::open(no_driver.tree.root(), problem) == nullptr);
  CHECK(problem == "the NVIDIA driver is not loaded");
}

TEST_CASE("Nvml: energy, power and clocks come in joules, watts and hertz") {
  const Machine machine("2500 31500 1410 1980 NVIDIA Test 1\n-3 12000 -3 -3 NVIDIA Old 2\n");
  std::string problem;
  const auto nvml = dsn::Nvml::open(machine.tree.root(), problem);
  REQUIRE(nvml != nullptr);
  REQUIRE(nvml->gpus().size() == 2);
  CHECK(nvml->gpus()[0].name == "NVIDIA Test 1");
  CHECK(nvml->gpus()[0].counts_energy);
  CHECK(nvml->gpus()[0].clock_hz == doctest::Approx(1.41e9));
  CHECK(nvml->gpus()[0].max_clock_hz == doctest::Approx(1.98e9));
  CHECK_FALSE(nvml->gpus()[1].counts_energy);
  CHECK(nvml->gpus()[1].has_power);
  CHECK(nvml->gpus()[1].clock_hz == 0);
  double value = 0;
  CHECK(nvml->energy(0, value) == 0);
  CHECK(value == doctest::Approx(2.5));
  CHECK(nvml->power(0, value) == 0);
  CHECK(value == doctest::Approx(31.5));
  CHECK(nvml->clock(1, value) == ENODATA);
}

TEST_CASE("an energy counter of NVML is read at both ends, and is never chosen by itself") {
  const Machine machine("1000 30000 1410 1980 NVIDIA Test 1\n");
  CHECK(dsn::open_meter("auto", machine.tree.root()) == nullptr);
  const auto meter = dsn::open_meter("nvml", machine.tree.root());
  CHECK(meter->info().counter);
  CHECK(meter->info().part);
  CHECK(meter->info().covers == "NVIDIA Test 1 alone (NVML)");
  meter->start();
  machine.set("4250 30000 1410 1980 NVIDIA Test 1\n");
  CHECK(meter->stop().energy_j == doctest::Approx(3.25));
}

TEST_CASE("a GPU without an energy counter has its power sampled, one that is lost meanwhile is told") {
  const Machine machine("-3 20000 1410 1980 NVIDIA Old 1\n7000 20000 1410 1980 NVIDIA New 2\n");
  const auto meter = dsn::open_meter("nvml0", machine.tree.root());
  CHECK_FALSE(meter->info().counter);
  meter->start();
  pause(0.25);
  const dsn::EnergyReading reading = meter->stop();
  CHECK(reading.samples >= 2);
  CHECK(reading.power_w() == doctest::Approx(20));

  const auto other = dsn::open_meter("nvml1", machine.tree.root());
  other->start();
  machine.set("-3 20000 1410 1980 NVIDIA Old 1\n");
  try {
    static_cast<void>(other->stop());
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.message().find("energy of GPU 1 (NVML)") != std::string::npos);
  }
}

TEST_CASE("dsn doctor's findings name a GPU's clocks and its meter, and say that neither covers the CPU") {
  const Machine machine("1000 30000 1410 1980 NVIDIA Test 1\n");
  const dsn::Platform platform =
      dsn::parse_platform(dsn::discover_platform(machine.tree.root()), "discovered");
  int clocks = 0, meters = 0, machine_meter = 0;
  for (const dsn::Finding& finding :
       dsn::examine_machine(platform, machine.tree.root(), machine.tree.root() / "state.json")) {
    if (finding.area == "frequency" && finding.what == "NVIDIA Test 1") {
      ++clocks;
      CHECK(finding.detail.find("now 1.41 GHz, at most 1.98 GHz") != std::string::npos);
    }
    if (finding.area == "energy" && finding.what == "nvml") {
      ++meters;
      CHECK(finding.able == dsn::Able::partly);
      CHECK(finding.change.find("--energy") != std::string::npos);
    }
    machine_meter += finding.area == "energy" && finding.what == "meter" ? 1 : 0;
  }
  CHECK(clocks == 1);
  CHECK(meters == 1);
  CHECK(machine_meter == 1);
}

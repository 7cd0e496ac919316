// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/profile/measure.h"
#include "fakes/fake_executor.h"
#include "fakes/tiny_space.h"

using dsn::EnergyReading;
using dsn::Error;
using dsn::ErrorCode;
using dsn::LutEntry;
using dsn::OperatingPoint;

namespace {

// 5 W, always, over the clock that the executor moves.
class FakeMeter final : public dsn::EnergyMeter {
 public:
  explicit FakeMeter(const dsn::fakes::FakeClock& clock) : clock_(clock) {
    info_.id = "fake";
    info_.covers = "imaginary rail";
    info_.period_s = 0.01;
    info_.window_s = 0.2;
  }
  [[nodiscard]] const dsn::MeterInfo& info() const noexcept override { return info_; }
  void start() override {
    started_s_ = clock_.now_s;
    ++windows;
  }
  [[nodiscard]] EnergyReading stop() override {
    if (windows > works) throw Error(ErrorCode::unsupported, "cannot read curr1_input: the sensor is gone");
    EnergyReading reading;
    reading.seconds = clock_.now_s - started_s_;
    if (reading.seconds > 0) CHECK(reading.seconds >= info_.window_s);  // 0: without inferences
    reading.energy_j = 5 * reading.seconds;
    reading.samples = 20;
    reading.resolution_j = coarse ? 0.1 * reading.energy_j : 0;
    return reading;
  }
  int windows = 0, works = 1000000;
  bool coarse = false;

 private:
  const dsn::fakes::FakeClock& clock_;
  dsn::MeterInfo info_;
  double started_s_ = 0;
};

class ListeningJob final : public dsn::Job {
 public:
  std::vector<std::string> warnings;
  void warn(std::string_view line) override { warnings.emplace_back(line); }
};

struct Bench {
  dsn::SearchSpace space = dsn::fakes::tiny_space();
  dsn::Platform platform = dsn::fakes::one_cluster();
  dsn::fakes::FakeClock clock;
  dsn::fakes::FakeExecutor executor{space, clock};
  FakeMeter meter{clock};
  dsn::ProfileOptions options;
  dsn::Lut lut;
  ListeningJob job;

  Bench() {
    options.clock = clock.reader();
    options.units = false;
    options.meter = &meter;
    lut = dsn::start_lut(space, platform, "fake", "imaginary");
  }
  std::vector<dsn::PointReport> run() {
    return dsn::profile_network(executor, space, platform, nullptr,
                                {{space.smallest(), {}}, {space.largest(), {}}}, options, lut, {}, job);
  }
};

const OperatingPoint kPoint{"cpu", 1, 1e9, 1};

}  // namespace

TEST_CASE("energy: power times latency for every level, over windows that the meter carries") {
  Bench bench;
  const auto reports = bench.run();
  CHECK(reports[0].energies == 2);
  CHECK(reports[0].idle.has_value());
  CHECK(bench.meter.windows == 1 + 2 * bench.options.energy_windows);
  for (const dsn::LutLevel& level : bench.lut.levels) {
    const LutEntry& entry = level.at.at(kPoint);
    REQUIRE(entry.energy_j.has_value());
    CHECK(*entry.energy_j == doctest::Approx(5 * entry.latency_s));
    CHECK(entry.energy_origin == dsn::Origin::measured);
    CHECK(entry.note.empty());
  }
  CHECK(bench.lut.energy_source.find("imaginary rail") == 0);
  // What was measured is not measured again.
  bench.run();
  CHECK(bench.meter.windows == 1 + 2 * bench.options.energy_windows);
}

TEST_CASE("energy: a sensor that vanishes leaves the LUT whole, with the energies until then") {
  Bench bench;
  bench.meter.works = 2;  // idle, and one level's first window
  const auto reports = bench.run();
  CHECK(reports[0].energies == 1);
  CHECK(reports[0].energy_problem.find("the sensor is gone") != std::string::npos);
  CHECK(bench.job.warnings.size() == 1);
  int with = 0;
  for (const dsn::LutLevel& level : bench.lut.levels) {
    CHECK(level.at.at(kPoint).latency_s > 0);
    with += level.at.at(kPoint).energy_j ? 1 : 0;
  }
  CHECK(with == 1);
  const dsn::Lut again = dsn::Lut::parse(bench.lut.to_json(), "again");
  CHECK(again.levels.size() == 2);
  // When it is back, what is missing is measured.
  bench.meter.works = 1000000;
  CHECK(bench.run()[0].energies == 1);
}

TEST_CASE("energy: a sensor too coarse for the reading marks it") {
  Bench bench;
  bench.meter.coarse = true;
  bench.run();
  CHECK(bench.lut.levels[0].at.at(kPoint).note == "energy +-10.0 %: the sensor's step");
}

TEST_CASE("energy: without a meter the platform's power model stands in, marked modelled") {
  Bench bench;
  bench.options.meter = nullptr;
  dsn::Json document = bench.platform.document;
  document["power"] = {{"rail", "input"}, {"base_power_w", 1}, {"origin", "published"}, {"source", "a test"}};
  document["clusters"][0]["power"] = {{"origin", "published"}, {"source", "a test"}};
  document["clusters"][0]["opps"][0]["idle_power_w"] = 0.5;
  document["clusters"][0]["opps"][0]["busy_power_w"] = 4.5;
  bench.platform = dsn::parse_platform(document, "board.json");
  bench.lut = dsn::start_lut(bench.space, bench.platform, "fake", "imaginary");
  bench.run();
  const LutEntry& entry = bench.lut.levels[0].at.at(kPoint);
  REQUIRE(entry.energy_j.has_value());
  CHECK(*entry.energy_j == doctest::Approx((1 + 0.5 + 4.0 / 2) * entry.latency_s));  // one of two CPUs
  CHECK(entry.energy_origin == dsn::Origin::modelled);
  CHECK(bench.lut.energy_source.starts_with("modelled"));
  // A meter that comes later replaces them.
  bench.options.meter = &bench.meter;
  bench.run();
  CHECK(bench.lut.levels[0].at.at(kPoint).energy_origin == dsn::Origin::measured);
}

TEST_CASE("energy: neither meter nor power model leaves energies out, with a reason") {
  Bench bench;
  bench.options.meter = nullptr;
  bench.run();
  CHECK_FALSE(bench.lut.levels[0].at.at(kPoint).energy_j.has_value());
  CHECK(bench.lut.energy_reason.find("no energy meter") == 0);
}

TEST_CASE("energy: a LUT of one meter is not filled up by another") {
  Bench bench;
  bench.lut.energy_source = "CPU package-0: energy counter, a fresh value every 1.00 ms";
  try {
    bench.run();
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::mismatch);
    CHECK(error.message().find("imaginary rail") != std::string::npos);
  }
  CHECK(bench.executor.inferences == 0);
}

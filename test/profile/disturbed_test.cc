// SPDX-License-Identifier: Apache-2.0
// Measuring on a machine that is slower now and then, and beside other work.
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/core/json.h"
#include "dsn/profile/co_runner.h"
#include "dsn/profile/measure.h"
#include "dsn/profile/repeatability.h"
#include "dsn/profile/speed.h"
#include "fakes/fake_executor.h"
#include "fakes/tiny_space.h"

using dsn::CoLoad;
using dsn::Lut;
using dsn::LutEntry;
using dsn::OperatingPoint;
using dsn::PointReport;

namespace {

const OperatingPoint kPoint{"cpu", 1, 1e9, 1};

// An imaginary machine whose speed is a function of time.
struct Machine {
  dsn::SearchSpace space = dsn::fakes::tiny_space();
  dsn::Platform platform = dsn::fakes::one_cluster();
  dsn::fakes::FakeClock clock;
  dsn::fakes::FakeExecutor executor{space, clock};
  dsn::ProfileOptions options;
  Lut lut = dsn::start_lut(space, platform, "fake", "imaginary");
  std::function<double(double now_s)> speed = [](double) { return 1.0; };
  double slept_s = 0;

  Machine() {
    executor.unit_s = [this](const dsn::Unit& unit, int threads, int) {
      return dsn::fakes::unit_formula(unit) / threads / speed(clock.now_s);
    };
    options.clock = clock.reader();
    options.speed = [this] {
      clock.now_s += 1e-4;
      return 1e9 * speed(clock.now_s);
    };
    options.sleep = [this](double seconds) {
      clock.now_s += seconds;
      slept_s += seconds;
    };
    options.units = false;
  }
  std::vector<dsn::LevelSpec> ends() { return {{space.smallest(), {}}, {space.largest(), {}}}; }
  std::vector<PointReport> run() {
    return dsn::profile_network(executor, space, platform, nullptr, ends(), options, lut, {},
                                dsn::silent_job());
  }
  double cost(const dsn::SubnetConfig& config) {
    double sum = 0;
    for (const dsn::Unit& unit : dsn::make_network(space, config).units)
      sum += dsn::fakes::unit_formula(unit);
    return sum;
  }
  const LutEntry& entry(const dsn::SubnetConfig& config) { return *lut.level_entry(config, kPoint); }
};

}  // namespace

TEST_CASE("profile_network: what was measured while the machine was slower is measured again") {
  Machine machine;
  machine.options.patience_s = 0;
  // Slower by a fifth for 50 ms of every 80: more often than not.
  machine.speed = [](double now_s) { return std::fmod(now_s, 0.08) < 0.05 ? 0.8 : 1.0; };
  machine.options.repeats = 10;
  const auto reports = machine.run();
  for (const auto& config : {machine.space.smallest(), machine.space.largest()}) {
    const LutEntry& entry = machine.entry(config);
    // A visit that the change fell into counts as slow; what is left is as fast as the machine.
    CHECK(entry.latency_s == doctest::Approx(machine.cost(config)).epsilon(0.01));
    CHECK(entry.speed == doctest::Approx(1.0).epsilon(0.01));
    CHECK(entry.set_aside > 0);
    CHECK(entry.note.empty());
  }
  CHECK(reports[0].disturbed == 0);
  CHECK(reports[0].set_aside > 0);
  const Lut::Speed& speed = machine.lut.speeds.at(kPoint);
  CHECK(speed.own_per_s == doctest::Approx(1e9));
  CHECK(speed.lowest_per_s == doctest::Approx(0.8e9));
  CHECK(speed.slow_share > 0.3);
}

TEST_CASE("profile_network: patience waits for the machine instead of measuring what does not count") {
  Machine machine;
  machine.options.patience_s = 10;
  const double begin_s = machine.clock.now_s;
  machine.speed = [=](double now_s) { return now_s - begin_s > 0.15 && now_s - begin_s < 3 ? 0.7 : 1.0; };
  const auto reports = machine.run();
  CHECK(reports[0].disturbed == 0);
  CHECK(machine.slept_s > 2.5);
  CHECK(machine.lut.speeds.at(kPoint).waited_s > 2.5);
  CHECK(machine.entry(machine.space.largest()).latency_s ==
        doctest::Approx(machine.cost(machine.space.largest())).epsilon(0.01));
}

TEST_CASE("profile_network: a machine that never is as fast as before gives entries that say so") {
  Machine machine;
  machine.options.patience_s = 1;
  machine.options.own_speeds[kPoint] = 1e9;  // another table saw it
  machine.speed = [](double) { return 0.75; };
  const auto reports = machine.run();
  CHECK(machine.slept_s == doctest::Approx(1).epsilon(0.02));
  CHECK(reports[0].disturbed == 2);
  const LutEntry& entry = machine.entry(machine.space.smallest());
  CHECK(entry.latency_s == doctest::Approx(machine.cost(machine.space.smallest()) / 0.75).epsilon(1e-3));
  CHECK(entry.speed == doctest::Approx(0.75));
  CHECK(entry.note == "machine at 75.0 % of its own speed");
  CHECK(entry.samples >= machine.options.min_runs);
}

TEST_CASE("profile_network: two tables of a machine that changes its speed are within 3 %") {
  // Different spells of slowness in each; one machine.
  const auto measure = [](double length_s, double from_s, double own_per_s) {
    Machine machine;
    if (own_per_s > 0) machine.options.own_speeds[kPoint] = own_per_s;  // as --against does
    machine.options.patience_s = 20;
    machine.speed = [=](double now_s) {
      return std::fmod(now_s + from_s, 2 * length_s) < length_s ? 0.8 : 1.0;
    };
    machine.run();
    return machine.lut;
  };
  const Lut first = measure(0.3, 0, 0);
  const auto differences = dsn::compare_luts(first, measure(0.7, 0.5, first.speeds.at(kPoint).own_per_s));
  REQUIRE(differences.size() == 1);
  CHECK(differences[0].levels == 2);
  CHECK(std::abs(differences[0].largest) < 0.03);
  CHECK(differences[0].speed_ratio == doctest::Approx(1).epsilon(0.01));
}

TEST_CASE("compare_luts: tells the median and the largest difference, and refuses other spaces") {
  Machine machine;
  machine.run();
  Lut later = machine.lut;
  later.levels[0].at.at(kPoint).latency_s *= 1.1;
  later.levels[1].at.at(kPoint).latency_s *= 0.98;
  const auto found = dsn::compare_luts(machine.lut, later);
  REQUIRE(found.size() == 1);
  CHECK(found[0].median == doctest::Approx(0.04));
  CHECK(found[0].largest == doctest::Approx(0.1));
  const std::vector<dsn::SubnetConfig> one = {later.levels[1].config};
  CHECK(dsn::compare_luts(machine.lut, later, one)[0].levels == 1);
  later.space_sha256 = "0";
  CHECK_THROWS_AS(static_cast<void>(dsn::compare_luts(machine.lut, later)), dsn::Error);
}

TEST_CASE("profile_network: sub-networks held out are in no fit, and their error is kept") {
  Machine machine;
  machine.options.units = true;
  machine.options.held_out = 12;
  machine.options.random_levels = 4;
  // Not additive: a part that the sums do not know and that differs from network to network.
  machine.executor.overhead_s = [&] {
    return 2e-5 * static_cast<double>(machine.executor.network().resolution);
  };
  const auto reports = machine.run();
  int held_out = 0;
  std::vector<double> errors;
  for (const dsn::LevelCheck& check : reports[0].checks) {
    if (!check.held_out) continue;
    ++held_out;
    errors.push_back(std::abs(check.relative_error()));
    const dsn::Network network = dsn::make_network(machine.space, check.config);
    CHECK(check.predicted_s == doctest::Approx(machine.lut.predict_latency(network, kPoint)));
  }
  CHECK(held_out == 12);
  const Lut::Correction fit = machine.lut.corrections.at(kPoint);
  CHECK(fit.held_out == 12);
  CHECK(fit.count == static_cast<int>(reports[0].checks.size()) - 12);
  double sum = 0;
  for (const double error : errors) sum += error;
  CHECK(fit.held_out_mape == doctest::Approx(sum / 12).epsilon(0.01));
  CHECK(fit.held_out_tau > 0.5);

  // The fit does not change with what is held out of it.
  Lut other = machine.lut;
  for (dsn::LutLevel& level : other.levels)
    if (level.held_out) level.at.at(kPoint).latency_s *= 3;
  machine.lut = other;
  machine.run();
  CHECK(machine.lut.corrections.at(kPoint).scale == doctest::Approx(fit.scale));
  CHECK(machine.lut.corrections.at(kPoint).held_out_mape > 0.3);
}

TEST_CASE("profile_network: levels are measured beside loads, as rows of their own, and resumed") {
  Machine machine;
  machine.options.loads = {{CoLoad::Kind::compute, 1}, {CoLoad::Kind::memory, 1}};
  const auto ends = machine.ends();
  machine.run();
  const Lut read = Lut::parse(machine.lut.to_json(), "again");
  REQUIRE(read.loads(kPoint) == machine.options.loads);
  CHECK(read.points() == std::vector<OperatingPoint>{kPoint});
  for (const auto& level : ends) {
    for (const CoLoad& load : machine.options.loads) {
      const LutEntry* beside = read.beside_entry(level.config, kPoint, load);
      REQUIRE(beside != nullptr);
      CHECK(beside->mean_s.has_value());
      CHECK(beside->samples >= machine.options.min_runs);
      // Imaginary time does not feel the real threads.
      CHECK(read.slowdown(level.config, kPoint, load)->p50 == doctest::Approx(1).epsilon(1e-3));
    }
  }
  CHECK_FALSE(read.slowdown(ends[0].config, kPoint, {CoLoad::Kind::compute, 2}).has_value());

  const int before = machine.executor.inferences;
  machine.run();
  CHECK(machine.executor.inferences == before);
  machine.options.loads.push_back({CoLoad::Kind::compute, 2});
  machine.run();
  CHECK(machine.lut.loads(kPoint).size() == 3);
  CHECK(machine.executor.inferences > before);
}

TEST_CASE("a LUT keeps speeds, what was set aside and held-out errors through its file") {
  Machine machine;
  machine.options.units = true;
  machine.options.held_out = 5;
  machine.options.patience_s = 0;
  machine.options.temperature = [] { return 61.5; };
  machine.speed = [](double now_s) { return std::fmod(now_s, 0.08) < 0.03 ? 0.8 : 1.0; };
  machine.run();
  const dsn::Json json = machine.lut.to_json();
  const Lut read = Lut::parse(json, "again");
  CHECK(read.to_json() == json);
  CHECK(read.speeds.at(kPoint).probes == machine.lut.speeds.at(kPoint).probes);
  CHECK(read.corrections.at(kPoint).held_out == 5);
  CHECK(read.level_entry(machine.space.largest(), kPoint)->temp_c == 61.5);
  dsn::Json document = dsn::pure_envelope("dsn.lut", 1, {}, dsn::Json::object());
  document.update(json);
  CHECK_NOTHROW(dsn::check_schema(document, "dsn.lut", "lut.json"));
}

TEST_CASE("SpeedProbe: measures a speed that the same core reaches again") {
  const dsn::SpeedProbe probe;
  double fastest = 0;
  for (int i = 0; i < 200; ++i) fastest = std::max(fastest, probe());
  double again = 0;
  for (int i = 0; i < 200; ++i) again = std::max(again, probe());
  CHECK(fastest > 1e7);
  // Both are the fastest of many: only a machine that changed in between for good could be this far off.
  CHECK(again == doctest::Approx(fastest).epsilon(0.5));
}

TEST_CASE("CoRunner: its workers are busy while it lives and gone after it") {
  for (const CoLoad::Kind kind : {CoLoad::Kind::compute, CoLoad::Kind::memory}) {
    const std::clock_t before = std::clock();
    const auto started = std::chrono::steady_clock::now();
    {
      const dsn::CoRunner runner({kind, 2});
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
    }
    const double used_s = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    const double passed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    CHECK(passed_s >= 0.15);
    CHECK(used_s > 0.005);  // a busy machine may have left them little
  }
}

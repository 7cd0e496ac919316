// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/measure.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/profile/probes.h"
#include "fakes/fake_executor.h"
#include "fakes/tiny_space.h"

using dsn::Error;
using dsn::ErrorCode;
using dsn::Lut;
using dsn::LutEntry;
using dsn::OperatingPoint;
using dsn::PointReport;
using dsn::ProfileOptions;

namespace {

// Frequencies that tests watch and disturb.
class FakeFrequency : public dsn::FrequencyControl {
 public:
  FakeFrequency(const dsn::Platform& platform, bool settable) : platform_(platform), settable_(settable) {}
  double set_opp(std::size_t cluster, std::size_t opp) override {
    set.push_back(opp);
    now_hz = platform_.clusters[cluster].opps[opp].freq_hz;
    return now_hz;
  }
  [[nodiscard]] double frequency(std::size_t) const noexcept override { return now_hz * factor; }
  [[nodiscard]] bool can_set(std::size_t) const noexcept override { return settable_; }
  void restore() noexcept override { ++restores; }

  std::vector<std::size_t> set;
  double now_hz = 1e9, factor = 1;
  int restores = 0;

 private:
  const dsn::Platform& platform_;
  bool settable_;
};

// A Job that asks for a stop once somebody has done enough.
class StopAfter : public dsn::Job {
 public:
  StopAfter(const int& counter, int limit) : counter_(counter), limit_(limit) {}
  [[nodiscard]] bool stop_requested() const noexcept override { return counter_ >= limit_; }

 private:
  const int& counter_;
  int limit_;
};

// A bench on an imaginary machine.
struct Bench {
  dsn::SearchSpace space = dsn::fakes::tiny_space();
  dsn::Platform platform;
  dsn::fakes::FakeClock clock;
  dsn::fakes::FakeExecutor executor{space, clock};
  ProfileOptions options;
  Lut lut;
  std::vector<Lut> saved;
  FakeFrequency* control = nullptr;

  explicit Bench(const std::vector<double>& freqs_hz = {1e9}) : platform(dsn::fakes::one_cluster(freqs_hz)) {
    executor.unit_s = [](const dsn::Unit& unit, int threads, int) {
      return dsn::fakes::unit_formula(unit) / threads;
    };
    options.clock = clock.reader();
    lut = dsn::start_lut(space, platform, "fake", "imaginary");
  }

  std::vector<PointReport> run(const std::vector<dsn::LevelSpec>& levels = {},
                               dsn::Job& job = dsn::silent_job()) {
    return dsn::profile_network(
        executor, space, platform, control, levels, options, lut,
        [this](const Lut& now) { saved.push_back(now); }, job);
  }
};

const OperatingPoint kPoint{"cpu", 1, 1e9, 1};

ErrorCode code_of(const std::function<void()>& work, const std::string& part) {
  try {
    work();
  } catch (const Error& error) {
    CHECK_MESSAGE(error.message().find(part) != std::string::npos, error.message());
    return error.code();
  }
  FAIL("nothing was thrown");
  return ErrorCode::failed;
}

}  // namespace

TEST_CASE("profile_network: on a machine without noise every unit has exactly its cost") {
  Bench bench;
  const auto reports = bench.run();
  REQUIRE(bench.lut.units.size() == dsn::unit_keys(bench.space).size());
  for (const dsn::SubnetConfig& config : dsn::fakes::enumerate(bench.space)) {
    const dsn::Network network = dsn::make_network(bench.space, config);
    for (const dsn::Unit& unit : network.units) {
      const LutEntry& entry = bench.lut.units.at(unit.key()).at(kPoint);
      REQUIRE(entry.latency_s == doctest::Approx(dsn::fakes::unit_formula(unit)).epsilon(1e-6));
      REQUIRE(entry.samples >= bench.options.min_runs);
      REQUIRE(entry.latency_origin == dsn::Origin::measured);
      REQUIRE(entry.note.empty());
    }
  }
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].point == kPoint);
  CHECK(reports[0].probes == 8);
  CHECK(reports[0].unsettled == 0);
  CHECK(reports[0].measured == 8 + static_cast<int>(bench.lut.levels.size()));
  CHECK(bench.lut.corrections.at(kPoint).scale == doctest::Approx(1).epsilon(1e-6));
  CHECK(bench.lut.corrections.at(kPoint).mape < 1e-6);
  CHECK(bench.executor.prepares == 1);
}

TEST_CASE("profile_network: time outside the units ends up in the correction, not in the units") {
  Bench bench;
  bench.executor.overhead_s = [] { return 5e-4; };
  const auto reports = bench.run();
  const dsn::Network network = dsn::make_network(bench.space, bench.space.largest());
  double sum = 0;
  for (const dsn::Unit& unit : network.units) sum += dsn::fakes::unit_formula(unit);
  CHECK(bench.lut.unit_sum(network, kPoint) == doctest::Approx(sum).epsilon(1e-6));
  CHECK(bench.lut.corrections.at(kPoint).offset_s == doctest::Approx(5e-4).epsilon(1e-3));
  CHECK(bench.lut.predict_latency(network, kPoint) == doctest::Approx(sum + 5e-4).epsilon(1e-4));
  REQUIRE(reports[0].checks.size() == bench.lut.levels.size());
  for (const dsn::LevelCheck& check : reports[0].checks) {
    CHECK(std::abs(check.relative_error()) < 1e-3);
    CHECK(check.measured_s == doctest::Approx(check.unit_sum_s + 5e-4).epsilon(1e-4));
  }
  CHECK(reports[0].kendall_tau > 0.9);
}

TEST_CASE(
    "profile_network: extremes, random and given sub-networks are measured end to end, without the "
    "observer") {
  Bench bench;
  dsn::Rng rng(11);
  const dsn::SubnetConfig given = bench.space.sample(rng);
  bench.options.random_levels = 5;
  bench.run({{given, {}}, {bench.space.largest(), {}}});
  for (const dsn::SubnetConfig& config : {given, bench.space.largest(), bench.space.smallest()}) {
    const LutEntry* entry = bench.lut.level_entry(config, kPoint);
    REQUIRE(entry != nullptr);
    double sum = 0;
    for (const dsn::Unit& unit : dsn::make_network(bench.space, config).units)
      sum += dsn::fakes::unit_formula(unit);
    CHECK(entry->latency_s == doctest::Approx(sum).epsilon(1e-6));
  }
  CHECK(bench.lut.levels.size() >= 4 + 1);
  CHECK(bench.lut.levels.size() <= 4 + 1 + 5);
  CHECK(bench.executor.observed > 0);
  CHECK(bench.executor.observed < bench.executor.inferences);
}

TEST_CASE("profile_network: without units only the given sub-networks are measured") {
  Bench bench;
  bench.options.units = false;
  const auto reports = bench.run({{bench.space.smallest(), {}}, {bench.space.largest(), {}}});
  CHECK(bench.lut.units.empty());
  CHECK(bench.lut.levels.size() == 2);
  CHECK(bench.lut.corrections.empty());
  CHECK(reports[0].checks.empty());
  CHECK(bench.executor.observed == 0);
}

TEST_CASE("profile_network: entries are interleaved in an order that the seed decides") {
  const auto order = [](std::uint64_t seed) {
    Bench bench;
    bench.options.seed = seed;
    bench.options.random_levels = 0;
    bench.run();
    return bench.executor.activations;
  };
  const auto first = order(1);
  CHECK(first == order(1));
  CHECK(first != order(2));
  // A drift would fall on all alike: no entry is done before every other has begun.
  const std::set<std::size_t> entries(first.begin(), first.end());
  CHECK(std::set<std::size_t>(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(entries.size())) ==
        entries);
}

TEST_CASE("profile_network: threads are operating points of their own, and batch size belongs to the point") {
  Bench bench;
  bench.options.threads = {1, 2};
  bench.options.batch = 3;
  const auto reports = bench.run();
  REQUIRE(reports.size() == 2);
  CHECK(reports[1].point == OperatingPoint{"cpu", 2, 1e9, 3});
  const auto& row = bench.lut.units.begin()->second;
  REQUIRE(row.size() == 2);
  CHECK(row.at(reports[0].point).latency_s ==
        doctest::Approx(2 * row.at(reports[1].point).latency_s).epsilon(1e-6));
  CHECK(bench.saved.size() == 2);
}

TEST_CASE("profile_network: a quiet entry ends early, a noisy one at its maximum time and says so") {
  Bench bench;
  bench.options.units = false;
  dsn::Rng rng(4);
  const std::size_t noisy_units = dsn::make_network(bench.space, bench.space.largest()).units.size();
  REQUIRE(noisy_units != dsn::make_network(bench.space, bench.space.smallest()).units.size());
  bench.executor.overhead_s = [&] {
    return bench.executor.network().units.size() == noisy_units ? 0.05 * std::abs(rng.normal()) : 0.0;
  };
  bench.options.rel_error = 1e-4;
  const auto reports = bench.run({{bench.space.smallest(), {}}, {bench.space.largest(), {}}});
  const LutEntry* quiet = bench.lut.level_entry(bench.space.smallest(), kPoint);
  const LutEntry* noisy = bench.lut.level_entry(bench.space.largest(), kPoint);
  REQUIRE((quiet != nullptr && noisy != nullptr));
  CHECK(quiet->note.empty());
  CHECK(noisy->note.find("not settled") != std::string::npos);
  CHECK(noisy->mad_s > 0);
  CHECK(noisy->samples >= bench.options.min_runs);
  CHECK(reports[0].unsettled == 1);
}

TEST_CASE("profile_network: at least so many runs and at least so long, both") {
  Bench bench;
  bench.options.units = false;
  bench.options.min_runs = 30;
  bench.options.min_time_s = 0;
  bench.run({{bench.space.smallest(), {}}});
  const int few = bench.lut.levels[0].at.at(kPoint).samples;
  CHECK(few >= 30);
  CHECK(few < 30 + bench.options.runs_per_visit);

  Bench longer;
  longer.options.units = false;
  longer.options.min_time_s = 0.2;
  longer.options.max_time_s = 1;
  longer.run({{longer.space.smallest(), {}}});
  const LutEntry& entry = longer.lut.levels[0].at.at(kPoint);
  CHECK(entry.samples * entry.latency_s >= 0.2 * (1 - 1e-9));
  CHECK(entry.samples > few);
}

TEST_CASE("profile_network: an interrupted run keeps what is finished and goes on from there") {
  Bench whole;
  whole.run();
  const int all = whole.executor.inferences;

  Bench bench;
  bench.options.min_time_s = 0;
  bench.options.runs_per_visit =
      20;  // a visit finishes an entry: the stop falls between finished and unseen ones
  StopAfter job(bench.executor.inferences, 150);
  CHECK(code_of([&] { bench.run({}, job); }, "interrupted") == ErrorCode::interrupted);
  REQUIRE(bench.saved.size() == 1);
  const Lut partial = Lut::parse(bench.saved.back().to_json(), "partial");
  CHECK(partial.units.size() + partial.levels.size() > 0);
  CHECK(partial.units.size() < dsn::unit_keys(bench.space).size());

  bench.lut = partial;
  const int before = bench.executor.inferences;
  const auto reports = bench.run();
  CHECK(bench.lut.units.size() == dsn::unit_keys(bench.space).size());
  CHECK(bench.lut.levels.size() == whole.lut.levels.size());
  CHECK(bench.executor.inferences - before < all);
  CHECK(reports[0].reused == static_cast<int>(partial.units.size() + partial.levels.size()));
  CHECK(bench.lut.corrections.at(kPoint).count == static_cast<int>(bench.lut.levels.size()));

  const int complete = bench.executor.inferences;
  bench.run();
  CHECK(bench.executor.inferences == complete);
}

TEST_CASE("profile_network: long runs save on the way") {
  Bench bench;
  bench.options.save_every_s = 0;
  bench.options.max_time_s = 0.5;
  dsn::Rng rng(4);
  bench.executor.overhead_s = [&] { return 0.01 * rng.uniform(); };
  bench.options.rel_error = 1e-6;
  bench.run();
  CHECK(bench.saved.size() > 2);
}

TEST_CASE("profile_network: every frequency that can be set is set once, measured, and restored") {
  Bench bench({5e8, 1e9});
  FakeFrequency control(bench.platform, true);
  bench.control = &control;
  bench.options.threads = {1, 2};
  bench.executor.unit_s = [&](const dsn::Unit& unit, int threads, int) {
    return dsn::fakes::unit_formula(unit) / threads * (1e9 / control.now_hz);
  };
  const auto reports = bench.run();
  CHECK(reports.size() == 4);
  CHECK(control.set == std::vector<std::size_t>{0, 1});
  CHECK(control.restores == 1);
  const auto& row = bench.lut.units.begin()->second;
  CHECK(row.at({"cpu", 1, 5e8, 1}).latency_s ==
        doctest::Approx(2 * row.at({"cpu", 1, 1e9, 1}).latency_s).epsilon(1e-6));
  CHECK(row.at({"cpu", 1, 5e8, 1}).note.empty());
}

TEST_CASE("profile_network: frequencies are restored when measuring fails or is interrupted") {
  Bench bench({5e8, 1e9});
  FakeFrequency control(bench.platform, true);
  bench.control = &control;
  StopAfter job(bench.executor.inferences, 40);
  CHECK(code_of([&] { bench.run({}, job); }, "interrupted") == ErrorCode::interrupted);
  CHECK(control.restores == 1);
  bench.executor.reports_units = false;
  CHECK(code_of([&] { bench.run(); }, "did not report unit") == ErrorCode::failed);
  CHECK(control.restores == 2);
}

TEST_CASE("profile_network: a frequency that is not what the point says marks the entry") {
  Bench bench({5e8, 1e9});
  FakeFrequency control(bench.platform, false);
  bench.control = &control;
  bench.options.units = false;
  const std::vector<dsn::LevelSpec> levels = {{bench.space.smallest(), {}}};
  bench.run(levels);
  CHECK(control.set.empty());
  CHECK(bench.lut.levels[0].at.at(kPoint).note.empty());

  bench.lut.levels.clear();
  control.factor = 0.8;
  bench.run(levels);
  CHECK(bench.lut.levels[0].at.at(kPoint).note == "frequency read 800 MHz to 800 MHz");
}

TEST_CASE("profile_network: what cannot be done is refused before anything is measured") {
  Bench bench({5e8, 1e9});
  bench.options.opps = {0};
  CHECK(code_of([&] { bench.run(); }, "cannot be set") == ErrorCode::unsupported);
  bench.options.opps = {2};
  CHECK(code_of([&] { bench.run(); }, "opps") == ErrorCode::bad_usage);
  bench.options.opps = {};
  bench.options.threads = {0};
  CHECK(code_of([&] { bench.run(); }, "threads") == ErrorCode::bad_usage);
  bench.options.threads = {1};
  bench.options.max_time_s = 0.01;
  CHECK(code_of([&] { bench.run(); }, "max_time_s") == ErrorCode::bad_usage);
  bench.options.max_time_s = 1;
  bench.lut.engine = "torch";
  CHECK(code_of([&] { bench.run(); }, "engine") == ErrorCode::mismatch);
  bench.lut.engine = "fake";
  bench.lut.platform_sha256 = "0";
  CHECK(code_of([&] { bench.run(); }, "platform") == ErrorCode::mismatch);
  bench.lut.space_sha256 = "0";
  CHECK(code_of([&] { bench.run(); }, "space") == ErrorCode::mismatch);
  CHECK(bench.executor.inferences == 0);
}

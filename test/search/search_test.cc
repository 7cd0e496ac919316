// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/search.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "dsn/search/pareto.h"
#include "fakes/tiny_space.h"
#include "synthetic.h"

using dsn::Error;
using dsn::ErrorCode;
using dsn::Level;
using dsn::Lut;
using dsn::OperatingPoint;
using dsn::ParetoPoint;
using dsn::SearchOptions;
using dsn::SearchResult;
using dsn::SubnetConfig;
using dsn::fakes::code_of;
using dsn::fakes::synthetic_accuracy;

namespace {

const OperatingPoint kPoint{"cpu", 1, 1e9, 1};

// A search on a formula; counts what is asked of it.
struct Bench {
  explicit Bench(dsn::SearchSpace s = dsn::fakes::tiny_space())
      : space(std::move(s)), lut(dsn::fakes::formula_lut(space, dsn::fakes::one_cluster(), kPoint)) {
    options.accuracy_on = "a formula";
  }

  dsn::SearchSpace space;
  Lut lut;
  SearchOptions options;
  std::vector<SubnetConfig> quick, careful;
  std::function<double(const SubnetConfig&, bool)> accuracy = [this](const SubnetConfig& config, bool) {
    return synthetic_accuracy(space, config);
  };

  SearchResult run() {
    const dsn::EvaluateFn evaluate = [this](const std::vector<SubnetConfig>& configs, bool final) {
      std::vector<double> values;
      for (const SubnetConfig& config : configs) {
        (final ? careful : quick).push_back(config);
        values.push_back(accuracy(config, final));
      }
      return values;
    };
    return dsn::run_search(space, lut, kPoint, evaluate, options, dsn::silent_job());
  }

  [[nodiscard]] double latency(const SubnetConfig& config) const {
    return lut.predict_latency(dsn::make_network(space, config), kPoint);
  }

  [[nodiscard]] std::vector<ParetoPoint> everything() const {
    std::vector<ParetoPoint> points;
    for (const SubnetConfig& config : dsn::fakes::enumerate(space)) {
      points.push_back({latency(config), synthetic_accuracy(space, config)});
    }
    return points;
  }
};

void check_ascending(const std::vector<Level>& levels) {
  for (std::size_t i = 1; i < levels.size(); ++i) {
    CHECK(levels[i].id == static_cast<int>(i));
    CHECK(levels[i].predicted_latency_s > levels[i - 1].predicted_latency_s);
    CHECK(levels[i].accuracy > levels[i - 1].accuracy);
  }
}

}  // namespace

TEST_CASE("run_search: with a few evaluations it is close to the true front of an enumerable space") {
  Bench bench;
  bench.options.samples = 24;
  bench.options.per_round = 8;
  const SearchResult result = bench.run();
  const auto all = bench.everything();
  ParetoPoint reference{0, 1};
  for (const ParetoPoint& point : all) {
    reference.cost = std::max(reference.cost, point.cost);
    reference.value = std::min(reference.value, point.value);
  }
  std::vector<ParetoPoint> evaluated;
  for (const SubnetConfig& config : bench.quick)
    evaluated.push_back({bench.latency(config), synthetic_accuracy(bench.space, config)});
  CHECK(bench.quick.size() <= 40);  // of 800
  CHECK(dsn::hypervolume(evaluated, reference) > 0.95 * dsn::hypervolume(all, reference));

  // Each level is within a whisker of the best there is at its latency.
  REQUIRE(result.levels.size() == 6);
  check_ascending(result.levels);
  for (const Level& level : result.levels) {
    double best = 0;
    for (const ParetoPoint& point : all) {
      if (point.cost <= level.predicted_latency_s) best = std::max(best, point.value);
    }
    CHECK(level.accuracy > best - 0.003);
  }
  CHECK(result.quality.kendall_tau > 0.6);
}

TEST_CASE("run_search: every level was really evaluated, with care, and carries what that said") {
  Bench bench(dsn::SearchSpace::load("fmnist-mbv3"));
  bench.accuracy = [&](const SubnetConfig& config, bool final) {
    return synthetic_accuracy(bench.space, config) - (final ? 0.01 : 0);
  };
  const SearchResult result = bench.run();
  REQUIRE(result.levels.size() >= 4);
  check_ascending(result.levels);
  for (const Level& level : result.levels) {
    CHECK(std::find(bench.careful.begin(), bench.careful.end(), level.config) != bench.careful.end());
    CHECK(level.accuracy == synthetic_accuracy(bench.space, level.config) - 0.01);
    CHECK(level.val_accuracy == level.accuracy);
    CHECK(level.accuracy_on == "a formula");
    CHECK(level.predicted_latency_s == bench.latency(level.config));
    CHECK(level.macs == dsn::make_network(bench.space, level.config).macs());
    CHECK(level.params == dsn::make_network(bench.space, level.config).params());
  }
  CHECK(result.evaluations == static_cast<int>(bench.quick.size()));
  CHECK(result.final_evaluations == static_cast<int>(bench.careful.size()));
  CHECK(result.evaluations + result.final_evaluations <= 28 + 2 * 10 + 16);
  std::sort(bench.quick.begin(), bench.quick.end(), dsn::ConfigLess());
  CHECK(std::adjacent_find(bench.quick.begin(), bench.quick.end()) == bench.quick.end());
}

TEST_CASE("run_search: levels are as far apart as the noise asks, and no level is beaten by another") {
  Bench bench;
  bench.options.noise = 0.2;
  bench.accuracy = [&](const SubnetConfig& config, bool final) {
    // The careful evaluation ranks differently: what was on the front may be beaten now.
    return synthetic_accuracy(bench.space, config) - (final && config.k[0] == 5 ? 0.02 : 0);
  };
  const SearchResult result = bench.run();
  check_ascending(result.levels);
  for (std::size_t i = 1; i < result.levels.size(); ++i) {
    CHECK(result.levels[i].predicted_latency_s > 1.2 * result.levels[i - 1].predicted_latency_s);
  }
}

TEST_CASE("run_search: the same seed gives the same bytes, another seed another search") {
  const auto text = [](std::uint64_t seed) {
    Bench bench(dsn::SearchSpace::load("fmnist-mbv3"));
    bench.options.seed = seed;
    const SearchResult result = bench.run();
    return dsn::dump_json(dsn::to_json(result, bench.space));
  };
  CHECK(text(1) == text(1));
  CHECK(text(1) != text(2));
}

TEST_CASE("to_json: every evaluated or predicted sub-network is a row, absent accuracies have a reason") {
  Bench bench;
  const SearchResult result = bench.run();
  const dsn::Json json = dsn::to_json(result, bench.space);
  REQUIRE(json["front"].size() == result.points.size());
  std::size_t evaluated = 0, careful = 0;
  double before = 0;
  for (const dsn::Json& row : json["front"]) {
    CHECK(row["latency_s"].get<double>() >= before);
    before = row["latency_s"];
    CHECK(row["accuracy"].is_null() == row.contains("accuracy_reason"));
    evaluated += row["accuracy"].is_null() ? 0 : 1;
    careful += row["final_accuracy"].is_null() ? 0 : 1;
  }
  CHECK(evaluated == bench.quick.size());
  CHECK(careful == bench.careful.size());
  CHECK(json["search"]["evaluations"] == bench.quick.size());
  CHECK(json["search"]["predictor"]["count"] == bench.quick.size());

  dsn::Family family;
  family.space_document = bench.space.document();
  family.space_sha256 = bench.space.sha256();
  family.levels = result.levels;
  dsn::Json document = dsn::pure_envelope("dsn.family", 1, {}, dsn::Json::object());
  document.update(family.to_json());
  document.update(json);
  dsn::check_schema(document, "dsn.family", "x");
  CHECK(dsn::Family::parse(document, "x").levels.size() == result.levels.size());
}

TEST_CASE("run_search: a latency limit holds for everything that is evaluated") {
  Bench bench;
  bench.options.max_latency_s = 1.6 * bench.latency(bench.space.smallest());
  const SearchResult result = bench.run();
  for (const SubnetConfig& config : bench.quick) CHECK(bench.latency(config) <= *bench.options.max_latency_s);
  double best = 0;
  for (const ParetoPoint& point : bench.everything()) {
    if (point.cost <= *bench.options.max_latency_s) best = std::max(best, point.value);
  }
  CHECK(result.levels.back().accuracy > best - 0.002);
}

TEST_CASE("run_search: an accuracy floor holds for every level") {
  Bench bench;
  double best = 0;
  for (const ParetoPoint& point : bench.everything()) best = std::max(best, point.value);
  bench.options.min_accuracy = best - 0.01;
  const SearchResult result = bench.run();
  REQUIRE(!result.levels.empty());
  for (const Level& level : result.levels) CHECK(level.accuracy >= *bench.options.min_accuracy);
}

TEST_CASE("run_search: limits that nothing meets are infeasible, and the nearest sub-network is named") {
  Bench bench;
  bench.options.max_latency_s = 0.5 * bench.latency(bench.space.smallest());
  CHECK(code_of([&] { bench.run(); }, bench.space.describe(bench.space.smallest())) == ErrorCode::infeasible);
  CHECK(bench.quick.empty());
  bench.options.max_latency_s.reset();
  bench.options.min_accuracy = 0.999;
  CHECK(code_of([&] { bench.run(); }, "99.9 %") == ErrorCode::infeasible);
  bench.options.max_latency_s = 2 * bench.latency(bench.space.smallest());
  CHECK(code_of([&] { bench.run(); }, "within") == ErrorCode::infeasible);
}

TEST_CASE(
    "run_search: few sub-networks in the whole space are all evaluated, and fewer levels than asked are a "
    "warning") {
  dsn::Json document = dsn::fakes::tiny_space().document();
  document["resolutions"] = {16, 24};
  for (dsn::Json& stage : document["stages"]) {
    stage["depth"] = {1};
    stage["expand"] = {2};
    stage["kernel"] = {3};
  }
  Bench bench(dsn::SearchSpace::parse(document, "two.json"));
  const SearchResult result = bench.run();
  CHECK(bench.quick.size() == 2);
  CHECK(result.levels.size() == 2);
  CHECK(result.quality.count == 0);
  REQUIRE(result.warnings.size() == 1);
  CHECK(result.warnings[0].find("2 levels where 6") != std::string::npos);
  const dsn::Json json = dsn::to_json(result, bench.space);
  CHECK(json["search"]["predictor"].is_null());
  CHECK(json["front"][0]["predicted_accuracy"].is_null());
}

TEST_CASE(
    "run_search: a LUT of another space, without a unit or without the point is refused before evaluating") {
  Bench bench;
  const Lut good = bench.lut;
  const std::string key = dsn::make_network(bench.space, bench.space.smallest()).units[0].key();
  bench.lut.units.erase(key);
  CHECK(code_of([&] { bench.run(); }, key) == ErrorCode::not_found);
  bench.lut = dsn::fakes::formula_lut(bench.space, dsn::fakes::one_cluster(), {"cpu", 2, 1e9, 1});
  CHECK(code_of([&] { bench.run(); }, "cpu, 1 thread") == ErrorCode::not_found);
  bench.lut = good;
  bench.lut.space_sha256 = std::string(64, '0');
  CHECK(code_of([&] { bench.run(); }, "another search space") == ErrorCode::mismatch);
  bench.lut = good;
  bench.lut.corrections[kPoint] = {1, -1, 0, 1};
  CHECK(code_of([&] { bench.run(); }, "predicts a latency") == ErrorCode::bad_input);
  CHECK(bench.quick.empty());
}

TEST_CASE("run_search: an evaluation that answers nonsense fails") {
  Bench bench;
  bench.accuracy = [](const SubnetConfig&, bool) { return 92.0; };
  CHECK(code_of([&] { bench.run(); }, "92") == ErrorCode::failed);
  const dsn::EvaluateFn short_answer = [](const std::vector<SubnetConfig>&, bool) {
    return std::vector<double>{0.9};
  };
  CHECK(code_of(
            [&] {
              (void)dsn::run_search(bench.space, bench.lut, kPoint, short_answer, bench.options,
                                    dsn::silent_job());
            },
            "gave 1") == ErrorCode::failed);
}

TEST_CASE("run_search: options out of range are refused") {
  Bench bench;
  bench.options.levels = 0;
  CHECK(code_of([&] { bench.run(); }, "levels") == ErrorCode::bad_usage);
  bench.options.levels = 17;
  CHECK(code_of([&] { bench.run(); }, "finalists") == ErrorCode::bad_usage);
}

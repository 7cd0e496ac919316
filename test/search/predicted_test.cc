// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/predicted.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "dsn/core/stats.h"
#include "dsn/profile/ofa_tables.h"
#include "dsn/search/ofa_predictor.h"
#include "dsn/search/pareto.h"
#include "dsn/search/point_series.h"
#include "dsn/search/row_costs.h"
#include "fakes/tiny_space.h"
#include "synthetic.h"

using dsn::Lut;
using dsn::OperatingPoint;
using dsn::ParetoPoint;
using dsn::PredictedSearch;
using dsn::PredictedSearchOptions;
using dsn::SubnetConfig;
using dsn::fakes::code_of;

namespace {

const OperatingPoint kPoint{"cpu", 1, 1e9, 1};

class Formula : public dsn::AccuracyPredictor {
 public:
  explicit Formula(const dsn::SearchSpace& space) : space_(space) {}
  [[nodiscard]] double predict(const SubnetConfig& config) const override {
    return dsn::fakes::synthetic_accuracy(space_, config);
  }

 private:
  const dsn::SearchSpace& space_;
};

// The space that can be enumerated, with a predictor and a table by formula.
struct Tiny {
  dsn::SearchSpace space = dsn::fakes::tiny_space();
  Lut lut = dsn::fakes::formula_lut(space, dsn::fakes::one_cluster(), kPoint);
  Formula predictor{space};
  PredictedSearchOptions options;

  [[nodiscard]] PredictedSearch search(const dsn::Calibration* calibration = nullptr) const {
    return dsn::search_predicted(space, lut, kPoint, predictor, space.resolutions(), calibration, options,
                                 dsn::silent_job());
  }
  [[nodiscard]] std::vector<ParetoPoint> exact_front() const {
    std::vector<ParetoPoint> all, front;
    for (const SubnetConfig& config : dsn::fakes::enumerate(space))
      all.push_back(
          {lut.predict_latency(dsn::make_network(space, config), kPoint), predictor.predict(config)});
    for (const std::size_t i : dsn::pareto_front(all)) front.push_back(all[i]);
    return front;
  }
};

const std::filesystem::path kPublished = std::filesystem::path(DSN_TEST_DATA) / "dynamic-ofa";

// The published table and predictor.
struct Published {
  dsn::SearchSpace space = dsn::SearchSpace::load("ofa-mbv3", 1.2);
  OperatingPoint point{"device", 1, 0, 1};
  Lut lut = dsn::import_ofa_tables(dsn::read_json(kPublished / "lut_xavier_nx_gpu.json"), "gpu.json", space,
                                   dsn::bare_platform("board", "the test"), point)
                .lut;
  dsn::OfaPredictor predictor = dsn::OfaPredictor::open(kPublished / "acc_predictor.safetensors", space);
};

const Published& published() {
  static const Published instance;
  return instance;
}

PredictedSearch search_published(const PredictedSearchOptions& options) {
  const Published& p = published();
  return dsn::search_predicted(p.space, p.lut, p.point, p.predictor, p.predictor.resolutions(), nullptr,
                               options, dsn::silent_job());
}

}  // namespace

TEST_CASE("search_predicted: the exact front of a space that can be enumerated") {
  Tiny tiny;
  tiny.options.evaluations = 20000;
  const PredictedSearch result = tiny.search();
  const auto exact = tiny.exact_front();
  REQUIRE(result.front.size() == exact.size());
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const dsn::PredictedPoint& point = result.front[i];
    CHECK(point.latency_s == doctest::Approx(exact[i].cost).epsilon(1e-12));
    CHECK(point.predicted == exact[i].value);
    const dsn::Network network = dsn::make_network(tiny.space, point.config);
    CHECK(point.macs == network.macs());
    CHECK(point.params == network.params());
    CHECK_FALSE(point.calibrated.has_value());
  }
  CHECK(result.evaluations <= 800);
}

TEST_CASE("search_predicted: limits hold, and what nothing meets is refused with the nearest") {
  Tiny tiny;
  tiny.options.evaluations = 5000;
  const auto exact = tiny.exact_front();
  tiny.options.max_latency_s = exact[exact.size() / 2].cost * 1.0001;
  tiny.options.min_accuracy = exact[2].value;
  const PredictedSearch result = tiny.search();
  CHECK(result.front.front().predicted == exact[2].value);
  CHECK(result.front.back().predicted == exact[exact.size() / 2].value);
  tiny.options.max_latency_s = 0.5 * exact.front().cost;
  CHECK(code_of([&] { (void)tiny.search(); }, "the nearest, r16") == dsn::ErrorCode::infeasible);
  tiny.options.max_latency_s = std::nullopt;
  tiny.options.min_accuracy = 0.999;
  CHECK(code_of([&] { (void)tiny.search(); }, "99.9") == dsn::ErrorCode::infeasible);
}

TEST_CASE("search_predicted: with a third objective nothing on the front is worse in all three") {
  Tiny tiny;
  tiny.options.evaluations = 5000;
  tiny.options.third = dsn::ThirdObjective::params;
  const PredictedSearch result = tiny.search();
  CHECK(result.front.size() > tiny.exact_front().size());
  for (const auto& a : result.front) {
    const bool beaten = std::any_of(result.front.begin(), result.front.end(), [&](const auto& b) {
      return b.latency_s <= a.latency_s && b.predicted >= a.predicted && b.params <= a.params &&
             (b.latency_s < a.latency_s || b.predicted > a.predicted || b.params < a.params);
    });
    CHECK_FALSE(beaten);
  }
  // Its levels still get better with time.
  for (std::size_t n = 1; n < result.levels.size(); ++n)
    CHECK(result.front[result.levels[n]].predicted > result.front[result.levels[n - 1]].predicted);
  tiny.options.third = dsn::ThirdObjective::energy;
  CHECK(code_of([&] { (void)tiny.search(); }, "no energy of unit") == dsn::ErrorCode::not_found);
}

TEST_CASE(
    "search_predicted: a resolution that the table lacks is left out and named; none left is an error") {
  Tiny tiny;
  tiny.options.evaluations = 2000;
  const std::string stem = dsn::make_network(tiny.space, tiny.space.smallest()).units.front().key();
  tiny.lut.units.erase(stem);
  const PredictedSearch result = tiny.search();
  CHECK(result.resolutions == std::vector<int>{24});
  REQUIRE(!result.warnings.empty());
  CHECK(result.warnings.front().find("resolution 16 is left out") == 0);
  CHECK(result.warnings.front().find(stem) != std::string::npos);
  for (const auto& point : result.front) CHECK(point.config.r == 24);
  tiny.lut.units.clear();
  CHECK(code_of([&] { (void)tiny.search(); }, "no resolution") == dsn::ErrorCode::not_found);
}

TEST_CASE("search_predicted: calibrated beside predicted, and a family that reads itself back") {
  Tiny tiny;
  tiny.options.evaluations = 2000;
  const std::vector<double> predicted{0.90, 0.97}, measured{0.80, 0.87};
  const auto calibration = dsn::Calibration::fit(predicted, measured);
  const PredictedSearch result = tiny.search(&calibration);
  bool seen = false;
  for (const auto& point : result.front) {
    CHECK(point.calibrated.has_value() == (point.predicted >= 0.90 && point.predicted <= 0.97));
    if (point.calibrated) CHECK(*point.calibrated == doctest::Approx(point.predicted - 0.10));
    seen = seen || point.calibrated.has_value();
  }
  CHECK(seen);
  dsn::Json document = dsn::pure_envelope("dsn.family", 1, {}, dsn::Json::object());
  document.update(dsn::to_family(result, tiny.space, "a formula").to_json());
  document.update(dsn::to_json(result, tiny.space));
  dsn::check_schema(document, "dsn.family", "here");
  const auto series = dsn::read_series(document, "here");
  REQUIRE(series.size() == 2);
  CHECK(series[0].points.size() == result.levels.size());
  CHECK(series[0].accuracy_is == "modelled");
  CHECK(series[1].points.size() == result.front.size());
  CHECK(series[1].points[0].latency_s == result.front[0].latency_s);
}

TEST_CASE("search_predicted: the worst of several operating points, memory and energy as third objectives") {
  Tiny tiny;
  tiny.options.evaluations = 5000;
  const OperatingPoint slow{"cpu", 1, 5e8, 1};
  for (auto& [key, at] : tiny.lut.units) {
    at[slow] = at.at(kPoint);
    at[slow].latency_s *= key.find("-k5-") != std::string::npos ? 3.0 : 0.8;
    at.at(kPoint).energy_j = 2 * at.at(kPoint).latency_s;
  }
  tiny.options.worst_over = {slow, kPoint};
  tiny.options.third = dsn::ThirdObjective::memory;
  const PredictedSearch result = tiny.search();
  CHECK(result.points.size() == 2);
  int by_slow = 0;
  for (const auto& point : result.front) {
    const dsn::Network network = dsn::make_network(tiny.space, point.config);
    const double at_fast = tiny.lut.predict_latency(network, kPoint);
    const double at_slow = tiny.lut.predict_latency(network, slow);
    CHECK(point.latency_s == doctest::Approx(std::max(at_fast, at_slow)).epsilon(1e-12));
    by_slow += at_slow > at_fast ? 1 : 0;
    REQUIRE(point.latency_at_s.size() == 2);
    CHECK(point.latency_at_s[1] == doctest::Approx(at_slow).epsilon(1e-12));
    CHECK(point.memory_bytes == dsn::peak_activation_bytes(network));
    CHECK(point.energy_j == doctest::Approx(2 * at_fast));
  }
  CHECK(by_slow > 0);
  CHECK(by_slow < static_cast<int>(result.front.size()));
  dsn::Json document = dsn::pure_envelope("dsn.family", 1, {}, dsn::Json::object());
  document.update(dsn::to_family(result, tiny.space, "a formula").to_json());
  document.update(dsn::to_json(result, tiny.space));
  dsn::check_schema(document, "dsn.family", "here");
  CHECK(document["search"]["worst_over"].size() == 2);
  tiny.options.third = dsn::ThirdObjective::energy;
  CHECK(tiny.search().energy_origin == dsn::Origin::measured);
}

TEST_CASE("search_predicted: levels closer than what levels of the table scatter are one level") {
  Tiny tiny;
  tiny.options.evaluations = 5000;
  tiny.options.levels = 12;
  const std::size_t before = tiny.search().levels.size();
  dsn::LutEntry noisy;
  noisy.latency_s = 1e-3;
  noisy.mad_s = 0.12e-3;
  noisy.samples = 50;
  tiny.lut.levels.push_back({tiny.space.largest(), {{kPoint, noisy}}});
  const PredictedSearch result = tiny.search();
  CHECK(result.noise == doctest::Approx(1.4826 * 0.12));
  CHECK(result.levels.size() < before);
  for (std::size_t n = 1; n < result.levels.size(); ++n) {
    CHECK(result.front[result.levels[n]].latency_s >
          (1 + result.noise) * result.front[result.levels[n - 1]].latency_s);
  }
}

TEST_CASE("search_predicted: the same for one thread and three, another for another seed") {
  PredictedSearchOptions options;
  options.evaluations = 6000;
  const auto text = [&](std::uint64_t seed, int threads) {
    options.seed = seed;
    options.threads = threads;
    return dsn::to_json(search_published(options), published().space).dump();
  };
  const std::string once = text(1, 1);
  CHECK(text(1, 3) == once);
  CHECK(text(2, 1) != once);
}

TEST_CASE("search_predicted: as good as the public single-objective finder on the published numbers") {
  PredictedSearchOptions options;
  options.evaluations = 40000;
  options.threads = 2;
  const PredictedSearch result = search_published(options);
  CHECK(result.resolutions == std::vector<int>{160, 176, 192, 208, 224});
  CHECK(result.warnings.size() == 2);  // resolutions 128 and 144 are not in the table
  // Within 0.3 points here, with less than half of the default effort and one seed.
  const std::pair<double, double> found_by_others[] = {
      {0.018, 0.8119}, {0.020, 0.8224}, {0.022, 0.8317}, {0.024, 0.8372}, {0.027, 0.8425}};
  for (const auto& [limit, accuracy] : found_by_others) {
    double best = 0;
    for (const auto& point : result.front) {
      if (point.latency_s <= limit) best = std::max(best, point.predicted);
    }
    CAPTURE(limit);
    CHECK(best > accuracy - 0.003);
  }
}

TEST_CASE("the published predictor is far too high on the published levels, and calibration mends that") {
  std::vector<double> predicted, measured;
  for (const dsn::PointSeries& series : dsn::load_series((kPublished / "levels.json").string())) {
    for (const auto& point : series.points) {
      predicted.push_back(
          published().predictor.predict(published().space.from_json(dsn::JsonView(point.config, "levels"))));
      measured.push_back(point.accuracy);
    }
  }
  const auto quality = dsn::Calibration::fit(predicted, measured).quality();
  CHECK(quality.count == 13);
  CHECK(quality.bias > 0.045);
  CHECK(quality.held_out_mae < 0.01);
  CHECK(quality.kendall_tau > 0.8);
}

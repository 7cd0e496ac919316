// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/point_series.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/profile/lut.h"
#include "dsn/search/family.h"
#include "fakes/temp_folder.h"
#include "fakes/tiny_space.h"
#include "synthetic.h"

using dsn::Json;
using dsn::fakes::code_of;

namespace {

const std::string kFigure =
    (std::filesystem::path(DSN_TEST_DATA) / "dynamic-ofa/sota_xavier_nx.json").string();

}  // namespace

TEST_CASE("load_series: all of a published figure, one part of it, or one series") {
  CHECK(dsn::load_series(kFigure).size() == 14);
  CHECK(dsn::load_series(kFigure + "#gpu").size() == 7);
  const auto one = dsn::load_series(kFigure + "#cpu/autoslim_mnasnet");
  REQUIRE(one.size() == 1);
  CHECK(one[0].name == "cpu/autoslim_mnasnet");
  REQUIRE(one[0].points.size() == 3);
  CHECK(one[0].points[0].latency_s == doctest::Approx(1.442));
  CHECK(one[0].points[0].accuracy == doctest::Approx(0.732));
  CHECK(one[0].points[0].config.is_null());
  CHECK(code_of([] { (void)dsn::load_series(kFigure + "#tpu"); }, "tpu") == dsn::ErrorCode::not_found);
}

TEST_CASE("read_series: numbers that make no sense are named, and files without any are refused") {
  const auto read = [](const char* text) {
    return [text] { (void)dsn::read_series(Json::parse(text), "f.json"); };
  };
  CHECK(code_of(read(R"({"a": [{"top1": 101, "latency_ms": 3}]})"), "/a/0/top1") ==
        dsn::ErrorCode::bad_input);
  CHECK(code_of(read(R"({"a": [{"accuracy": 0.5, "latency_s": 0}]})"), "/a/0/latency_s") ==
        dsn::ErrorCode::bad_input);
  CHECK(code_of(read(R"({"a": [1, 2]})"), "no points") == dsn::ErrorCode::bad_input);
  CHECK(code_of(read("[]"), "no points") == dsn::ErrorCode::bad_input);
  const auto bare = dsn::read_series(Json::parse(R"([{"accuracy": 0.5}])"), "f.json");
  CHECK(bare[0].name.empty());
  CHECK_FALSE(bare[0].points[0].latency_s.has_value());
}

namespace {

// A family of two levels, searched at one thread, and the table beside it.
struct Beside {
  dsn::fakes::TempFolder temp;
  dsn::SearchSpace space = dsn::fakes::tiny_space();
  dsn::Family family;
  dsn::Lut lut = dsn::fakes::formula_lut(space, dsn::fakes::one_cluster(), {"cpu", 1, 1e9, 1});

  Beside() {
    family.space_document = space.document();
    family.space_sha256 = space.sha256();
    family.lut_file = "f.lut.json";
    for (const dsn::SubnetConfig& config : {space.smallest(), space.largest()}) {
      const dsn::Network network = dsn::make_network(space, config);
      dsn::Level level;
      level.id = static_cast<int>(family.levels.size());
      level.config = space.canonical(config);
      level.accuracy = 0.8 + 0.1 * static_cast<double>(family.levels.size());
      level.accuracy_on = "a formula";
      level.macs = network.macs();
      level.params = network.params();
      level.predicted_latency_s = 1e-3 * static_cast<double>(family.levels.size() + 1);
      family.levels.push_back(level);
    }
  }

  void measure(std::size_t level, int threads, double latency_s) {
    dsn::LutEntry entry;
    entry.latency_s = latency_s;
    entry.samples = 10;
    const auto& config = family.levels[level].config;
    for (dsn::LutLevel& row : lut.levels) {
      if (row.config == config) {
        row.at[{"cpu", threads, 1e9, 1}] = entry;
        return;
      }
    }
    lut.levels.push_back({config, {{{"cpu", threads, 1e9, 1}, entry}}});
  }

  [[nodiscard]] dsn::PointSeries levels(bool searched) const {
    Json table = dsn::pure_envelope("dsn.lut", 1, {}, Json::object());
    table.update(lut.to_json());
    dsn::write_file_atomic(temp / "f.lut.json", dsn::dump_json(table));
    Json document = dsn::pure_envelope("dsn.family", 1, {}, Json::object());
    document.update(family.to_json());
    if (searched) document["search"] = {{"cluster", "cpu"}, {"threads", 1}};
    dsn::write_file_atomic(temp / "f.json", dsn::dump_json(document));
    return dsn::load_series(temp / "f.json").front();
  }
};

}  // namespace

TEST_CASE("load_series: a family's levels have measured latencies where the table beside it has them all") {
  Beside beside;
  CHECK(beside.levels(true).latency_is == "predicted");
  beside.measure(0, 1, 1.5e-3);
  CHECK(beside.levels(true).latency_is == "predicted");  // the other level has none
  CHECK(beside.levels(true).points[0].latency_s == 1e-3);
  beside.measure(1, 1, 2.5e-3);
  beside.measure(0, 2, 0.7e-3);
  beside.measure(1, 2, 1.2e-3);
  const dsn::PointSeries searched = beside.levels(true);
  CHECK(searched.latency_is == "measured at (cpu, 1 thread, 1.00 GHz)");
  CHECK(searched.points[0].latency_s == 1.5e-3);
  CHECK(searched.points[1].latency_s == 2.5e-3);
  CHECK(beside.levels(false).points[1].latency_s == 1.2e-3);  // nobody says where: where it is fastest
  beside.family.lut_file = "gone.json";
  CHECK(beside.levels(true).latency_is == "predicted");
}

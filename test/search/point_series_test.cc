// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/point_series.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "dsn/core/error.h"
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

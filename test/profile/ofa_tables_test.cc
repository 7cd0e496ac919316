// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/ofa_tables.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "dsn/core/error.h"

using dsn::Json;
using dsn::OfaTables;
using dsn::OperatingPoint;

namespace {

const OperatingPoint kPoint{"device", 1, 0, 1};

const Json& published() {
  static const Json document =
      dsn::read_json(std::filesystem::path(DSN_TEST_DATA) / "dynamic-ofa/lut_xavier_nx_gpu.json");
  return document;
}

OfaTables import(const Json& document, double width = 1.2) {
  return dsn::import_ofa_tables(document, "gpu.json", dsn::SearchSpace::load("ofa-mbv3", width),
                                dsn::bare_platform("board", "the test"), kPoint);
}

dsn::ErrorCode code_of(const Json& document, const std::string& part) {
  try {
    (void)import(document);
  } catch (const dsn::Error& error) {
    CHECK_MESSAGE(error.message().find(part) != std::string::npos, error.message());
    return error.code();
  }
  return dsn::ErrorCode::failed;
}

}  // namespace

TEST_CASE("import_ofa_tables: a network's latency is the sum of the rows of its own resolution's table") {
  const OfaTables result = import(published());
  const dsn::SearchSpace space = dsn::SearchSpace::load("ofa-mbv3", 1.2);
  // 176 and 192 share late blocks' shapes, and all share the classifier's: the tables differ all the same.
  for (const int r : {160, 176, 192, 224}) {
    CAPTURE(r);
    const Json& table = published()["tables"][std::to_string(r)];
    const auto mean = [&](const std::string& key) { return table.at(key)["mean"].get<double>(); };
    const int s2 = r / 2, s4 = r / 4, s8 = r / 8, s16 = r / 16, s32 = (r + 31) / 32;
    double sum =
        mean(fmt::format("Conv-input:{0}x{0}x3-output:{1}x{1}x24", r, s2)) +
        mean(fmt::format("expanded_conv-input:{0}x{0}x24-output:{0}x{0}x24-expand:24-kernel:3-stride:1-"
                         "idskip:1-se:0-hs:0",
                         s2)) +
        mean(fmt::format("Conv_1-input:{0}x{0}x192-output:{0}x{0}x1152", s32)) +
        mean(fmt::format("AvgPool2D-input:{0}x{0}x1152-output:1x1x1152", s32)) +
        mean("Conv_2-input:1x1x1152-output:1x1x1536") + mean("Logits-input:1x1x1536-output:1000");
    const auto block = [&](int in, int cin, int out, int cout, int se, int hs) {
      sum += mean(
          fmt::format("expanded_conv-input:{0}x{0}x{1}-output:{2}x{2}x{3}-expand:{4}-kernel:3-stride:{5}-"
                      "idskip:{6}-se:{7}-hs:{8}",
                      in, cin, out, cout, 3 * cin, in == out ? 1 : 2, int{cin == cout}, se, hs));
    };
    block(s2, 24, s4, 32, 0, 0), block(s4, 32, s4, 32, 0, 0);
    block(s4, 32, s8, 48, 1, 0), block(s8, 48, s8, 48, 1, 0);
    block(s8, 48, s16, 96, 0, 1), block(s16, 96, s16, 96, 0, 1);
    block(s16, 96, s16, 136, 1, 1), block(s16, 136, s16, 136, 1, 1);
    block(s16, 136, s32, 192, 1, 1), block(s32, 192, s32, 192, 1, 1);
    dsn::SubnetConfig config = space.smallest();
    config.r = r;
    CHECK(result.lut.predict_latency(dsn::make_network(space, config), kPoint) ==
          doctest::Approx(sum * 1e-3).epsilon(1e-12));
  }
  const Json& row = published()["tables"]["160"]["Conv-input:160x160x3-output:80x80x24"];
  const auto& stem = result.lut.units.at("stem-160x160x3-80x80x24-k3-s2-hswish").at(kPoint);
  CHECK(stem.latency_origin == dsn::Origin::published);
  CHECK(stem.samples == row["count"].get<int>());
  CHECK(stem.mad_s == doctest::Approx(0.6745e-3 * row["std"].get<double>()));
}

TEST_CASE("import_ofa_tables: what is missing or not of the space is named, nothing is made up") {
  OfaTables result = import(published());
  CHECK(result.missing == std::vector<std::string>{"r128: no table", "r132: no table", "r136: no table",
                                                   "r140: no table", "r144: no table", "r148: no table",
                                                   "r152: no table", "r156: no table"});
  CHECK(result.unused.empty());
  Json holed = published();
  const std::string pool = "AvgPool2D-input:5x5x1152-output:1x1x1152";
  holed["tables"]["160"].erase(pool);
  holed["tables"]["224"]["Conv_9"] = {{"mean", 1}};
  holed["tables"]["300"] = Json::object();
  result = import(holed);
  CHECK(std::count(result.missing.begin(), result.missing.end(), "r160: " + pool) == 1);
  CHECK(result.unused ==
        std::vector<std::string>{"r224: Conv_9", "table 300: not a resolution of the space"});
  const dsn::SearchSpace space = dsn::SearchSpace::load("ofa-mbv3", 1.2);
  dsn::SubnetConfig config = space.smallest();
  config.r = 160;
  try {
    (void)result.lut.predict_latency(dsn::make_network(space, config), kPoint);
    FAIL("a missing row was guessed");
  } catch (const dsn::Error& error) {
    CHECK(error.code() == dsn::ErrorCode::not_found);
    CHECK(error.message().find("feature_mix") != std::string::npos);
  }
}

TEST_CASE("import_ofa_tables: what it writes it reads, and the table is of its space") {
  const OfaTables result = import(published());
  const dsn::Lut again = dsn::Lut::parse(result.lut.to_json(), "lut.json");
  CHECK(again.units.size() == result.lut.units.size());
  CHECK(again.to_json() == result.lut.to_json());
  CHECK_THROWS_AS(again.require_space(dsn::SearchSpace::load("ofa-mbv3")), dsn::Error);
}

TEST_CASE("import_ofa_tables: another width, or numbers that cannot be, are refused with their place") {
  CHECK_THROWS_AS((void)import(published(), 2.0), dsn::Error);
  Json bad = published();
  bad["tables"]["160"]["Logits-input:1x1x1536-output:1000"]["mean"] = 0;
  CHECK(code_of(bad, "Logits") == dsn::ErrorCode::bad_input);
  CHECK(code_of(Json::object(), "tables") == dsn::ErrorCode::bad_input);
  CHECK(code_of({{"tables", 3}}, "/tables") == dsn::ErrorCode::bad_input);
}

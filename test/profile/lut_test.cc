// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/lut.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "fakes/tiny_space.h"

using dsn::Error;
using dsn::ErrorCode;
using dsn::Json;
using dsn::Lut;
using dsn::LutEntry;
using dsn::OperatingPoint;
using dsn::Origin;

namespace {

const OperatingPoint kPoint{"cpu", 1, 1e9, 1};
const OperatingPoint kTwoThreads{"cpu", 2, 1e9, 1};

// Units by formula at one point, one level measured at two, and a correction.
Lut sample_lut() {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  Lut lut = dsn::fakes::formula_lut(space, dsn::fakes::one_cluster(), kPoint);
  LutEntry entry;
  entry.latency_s = 0.002;
  entry.mad_s = 1e-5;
  entry.p90_s = 0.0021;
  entry.samples = 42;
  entry.note = "frequency read 900 MHz to 1.00 GHz";
  lut.levels.push_back({space.largest(), {{kPoint, entry}, {kTwoThreads, entry}}});
  lut.corrections[kPoint] = {1.25, 1e-4, 0.03, 9};
  return lut;
}

Json document_of(const Lut& lut) {
  Json document = dsn::measured_envelope("dsn.lut", 7);
  document.update(lut.to_json());
  return document;
}

// What parsing says; empty if it takes the document.
std::string complaint(const Json& document, ErrorCode expected = ErrorCode::bad_input) {
  try {
    (void)Lut::parse(document, "some.lut.json");
  } catch (const Error& error) {
    CHECK(error.code() == expected);
    return error.message();
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A file that is removed at the end.
class TempFile {
 public:
  explicit TempFile(const std::string& content)
      : path_(dsn::fs::temp_directory_path() / ("dsn-lut-test-" + std::to_string(::getpid()) + ".json")) {
    std::ofstream(path_) << content;
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() {
    std::error_code ignored;
    dsn::fs::remove(path_, ignored);
  }
  [[nodiscard]] const dsn::fs::path& path() const { return path_; }

 private:
  dsn::fs::path path_;
};

}  // namespace

TEST_CASE("Lut: what is written is read back unchanged") {
  const Lut lut = sample_lut();
  const TempFile file(dsn::dump_json(document_of(lut)));
  const Lut again = Lut::load(file.path());
  CHECK(again.to_json() == lut.to_json());
  CHECK(again.units.size() == lut.units.size());
  REQUIRE(again.levels.size() == 1);
  const LutEntry* entry = again.level_entry(dsn::fakes::tiny_space().largest(), kTwoThreads);
  REQUIRE(entry != nullptr);
  CHECK(entry->latency_s == 0.002);
  CHECK(entry->mad_s == 1e-5);
  CHECK(entry->p90_s == 0.0021);
  CHECK(!entry->p99_s);
  CHECK(entry->samples == 42);
  CHECK(entry->note == "frequency read 900 MHz to 1.00 GHz");
  CHECK(again.points() == std::vector<OperatingPoint>{kPoint, kTwoThreads});
  CHECK(again.corrections.at(kPoint).scale == 1.25);
  CHECK(again.corrections.at(kPoint).count == 9);
}

TEST_CASE("Lut: every number keeps its own origin, and absent ones say why") {
  Lut lut = sample_lut();
  LutEntry published;
  published.latency_s = 0.01;
  published.energy_j = 0.3;
  published.latency_origin = Origin::published;
  published.energy_origin = Origin::modelled;
  lut.levels.push_back({dsn::fakes::tiny_space().smallest(), {{kPoint, published}}});
  lut.energy_source = "board rail";
  const Json json = lut.to_json();
  const Json& row = json["levels"][1]["at"][0];
  CHECK(row["latency_origin"] == "published");
  CHECK(row["energy_origin"] == "modelled");
  CHECK(row["p99_s"].is_null());
  CHECK(row["p99_s_reason"] == "not given by the source");
  CHECK(json["levels"][0]["at"][0]["p99_s_reason"] == "42 samples cannot carry it");
  CHECK(json["levels"][0]["at"][0]["energy_j"].is_null());
  const Lut again = Lut::parse(document_of(lut), "x");
  const LutEntry* entry = again.level_entry(dsn::fakes::tiny_space().smallest(), kPoint);
  REQUIRE(entry != nullptr);
  CHECK(entry->latency_origin == Origin::published);
  CHECK(entry->energy_origin == Origin::modelled);
  CHECK(again.units.begin()->second.begin()->second.latency_origin == Origin::modelled);
}

TEST_CASE("Lut: an unknown frequency is null with a reason, and comes back as 0") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  const OperatingPoint unknown{"cpu", 1, 0, 1};
  const Lut lut = dsn::fakes::formula_lut(space, dsn::fakes::one_cluster(), unknown);
  CHECK(lut.to_json()["points"][0]["freq_hz"].is_null());
  CHECK(lut.to_json()["points"][0].contains("freq_hz_reason"));
  CHECK(Lut::parse(document_of(lut), "x").points() == std::vector<OperatingPoint>{unknown});
  CHECK(dsn::describe(unknown) == "cpu, 1 thread");
  CHECK(dsn::describe({"gpu", 2, 1.42e9, 4}) == "gpu, 2 threads, 1.42 GHz, batch 4");
}

TEST_CASE("Lut::predict_latency: the corrected sum of units") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  Lut lut = sample_lut();
  const dsn::Network network = dsn::make_network(space, space.largest());
  double sum = 0;
  for (const dsn::Unit& unit : network.units) sum += dsn::fakes::unit_formula(unit);
  CHECK(lut.unit_sum(network, kPoint) == doctest::Approx(sum).epsilon(1e-12));
  CHECK(lut.predict_latency(network, kPoint) == doctest::Approx(1.25 * sum + 1e-4).epsilon(1e-12));
  lut.corrections.clear();
  CHECK(lut.predict_latency(network, kPoint) == doctest::Approx(sum).epsilon(1e-12));
}

TEST_CASE("Lut::predict_latency: a missing unit or point is named, never guessed") {
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  Lut lut = sample_lut();
  const dsn::Network network = dsn::make_network(space, space.largest());
  const std::string key = network.units[3].key();
  try {
    (void)lut.predict_latency(network, kTwoThreads);
    FAIL("predicted at a point without units");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(contains(error.message(), "cpu, 2 threads"));
    CHECK(contains(error.message(), "measured at: cpu, 1 thread"));
  }
  lut.units.erase(key);
  try {
    (void)lut.predict_latency(network, kPoint);
    FAIL("predicted without a unit");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(contains(error.message(), key));
  }
}

TEST_CASE("Lut::level_entry: nothing for a sub-network or a point that was not measured") {
  const Lut lut = sample_lut();
  const dsn::SearchSpace space = dsn::fakes::tiny_space();
  CHECK(lut.level_entry(space.smallest(), kPoint) == nullptr);
  CHECK(lut.level_entry(space.largest(), {"cpu", 4, 1e9, 1}) == nullptr);
}

TEST_CASE("Lut::require_space: a LUT of another space is refused and both hashes are named") {
  const Lut lut = sample_lut();
  lut.require_space(dsn::fakes::tiny_space());
  const dsn::SearchSpace other = dsn::fakes::tiny_space(7);
  try {
    lut.require_space(other);
    FAIL("took a LUT of another space");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::mismatch);
    CHECK(contains(error.message(), lut.space_sha256));
    CHECK(contains(error.message(), other.sha256()));
  }
}

TEST_CASE("Lut::parse: a changed space or platform no longer has its hash") {
  Json document = document_of(sample_lut());
  document["space"]["classes"] = 5;
  CHECK(contains(complaint(document, ErrorCode::mismatch), "some.lut.json: /space_sha256"));
  document = document_of(sample_lut());
  document["platform"]["clusters"][0]["opps"][0]["freq_hz"] = 2e9;
  CHECK(contains(complaint(document, ErrorCode::mismatch), "some.lut.json: /platform_sha256"));
}

TEST_CASE("Lut::parse: what is wrong is named with its path") {
  const Json good = document_of(sample_lut());
  CHECK(complaint(good).empty());
  const auto with = [&](const char* pointer, const Json& value) {
    Json document = good;
    document[Json::json_pointer(pointer)] = value;
    return complaint(document);
  };
  CHECK(contains(with("/levels/0/at/0/latency_s", 0), "/levels/0/at/0/latency_s"));
  CHECK(contains(with("/levels/0/at/0/latency_s", "fast"), "/levels/0/at/0/latency_s"));
  CHECK(contains(with("/levels/0/at/0/latency_origin", "guessed"), "/levels/0/at/0/latency_origin"));
  CHECK(contains(with("/levels/0/at/1/point", 2), "/levels/0/at/1/point"));
  CHECK(contains(with("/levels/0/at/1/point", 0), "/levels/0/at/1/point"));
  CHECK(contains(with("/levels/0/config/d/0", 9), "/levels/0/config"));
  CHECK(contains(with("/points/0/cluster", "big"), "/points/0/cluster"));
  CHECK(contains(with("/points/0/threads", 0), "/points/0/threads"));
  CHECK(contains(with("/points/1", good["points"][0]), "/points/1"));
  CHECK(contains(with("/points/0/correction/scale", -1), "/points/0/correction/scale"));
  CHECK(contains(with("/units/1/key", good["units"][0]["key"]), "/units/1/key"));
  CHECK(contains(with("/levels/1", good["levels"][0]), "/levels/1/config"));
}

TEST_CASE("Lut::load: truncated, foreign, newer and absent files are refused by name") {
  const std::string text = dsn::dump_json(document_of(sample_lut()));
  const auto refuse = [](const std::string& content, const std::string& part) {
    const TempFile file(content);
    try {
      (void)Lut::load(file.path());
      FAIL("took a bad file");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::bad_input);
      CHECK(contains(error.message(), file.path().filename().string()));
      CHECK(contains(error.message(), part));
    }
  };
  refuse(text.substr(0, text.size() / 2), "");
  refuse("", "");
  refuse(
      "\x7f"
      "ELF",
      "");
  Json document = Json::parse(text);
  document["schema"] = "dsn.family";
  refuse(document.dump(), "dsn.family");
  document["schema"] = "dsn.lut";
  document["schema_version"] = 99;
  refuse(document.dump(), "99");
  document["schema_version"] = 1;
  document.erase("units");
  refuse(document.dump(), "units");
  try {
    (void)Lut::load("/nonexistent/lut.json");
    FAIL("read a file that does not exist");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
  }
}

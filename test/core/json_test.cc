// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/json.h"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "dsn/core/random.h"
#include "support.h"

using dsn::ErrorCode;
using dsn::Json;
using dsn_test::contains;
using dsn_test::error_of;
using dsn_test::TempFolder;

namespace {

std::string parse_message(const std::string& text, bool allow_comments = false) {
  const auto error = error_of([&] { (void)dsn::parse_json(text, "f.json", allow_comments); });
  CHECK(error.code() == ErrorCode::bad_input);
  return error.message();
}

// Sets SOURCE_DATE_EPOCH while it lives.
class SourceDate {
 public:
  explicit SourceDate(const char* value) { ::setenv("SOURCE_DATE_EPOCH", value, 1); }
  SourceDate(const SourceDate&) = delete;
  SourceDate& operator=(const SourceDate&) = delete;
  ~SourceDate() { ::unsetenv("SOURCE_DATE_EPOCH"); }
};

}  // namespace

TEST_CASE("read_json: gives what the file holds, every type of value") {
  const TempFolder folder;
  const auto file = folder.put(
      "a.json", R"({"a": [1, -2, 1.5, true, null, "t", {}, []], "b": {"c": 18446744073709551615}})");
  const Json json = dsn::read_json(file);
  CHECK(json["a"].size() == 8);
  CHECK(json["a"][1] == -2);
  CHECK(json["a"][2] == 1.5);
  CHECK(json["a"][4].is_null());
  CHECK(json["a"][6].is_object());
  CHECK(json["b"]["c"] == std::numeric_limits<std::uint64_t>::max());
  CHECK(dsn::read_json(folder.put("scalar.json", " 3 ")) == 3);
}

TEST_CASE("read_json: agrees with the JSON library's own document builder") {
  const std::string text =
      R"([{"x": {"y": [[], [{"z": "\u00e9\n"}], 2e-7]}}, "", [[[[1]]]], {"": {"/~": -0.0}}])";
  CHECK(dsn::parse_json(text, "f") == Json::parse(text));
}

TEST_CASE("read_json: a missing file is not_found") {
  CHECK(error_of([] { (void)dsn::read_json("/no/such.json"); }).code() == ErrorCode::not_found);
}

TEST_CASE("read_json: a syntax error names file, line and column") {
  const TempFolder folder;
  const auto file = folder.put("bad.json", "{\n  \"a\": 1,\n  \"b\": x\n}\n");
  const auto error = error_of([&] { (void)dsn::read_json(file); });
  CHECK(error.code() == ErrorCode::bad_input);
  CHECK(contains(error.message(), file.string() + ": line 3, column 8: syntax error"));
}

TEST_CASE("parse_json: an empty text, a cut one and one with a tail are refused where they go wrong") {
  CHECK(contains(parse_message(""), "f.json: line 1, column 1: syntax error"));
  CHECK(contains(parse_message("{\"a\": [1, 2"), "f.json: line 1, column 12: syntax error"));
  CHECK(contains(parse_message("{}\n{}"), "f.json: line 2, column 1: syntax error"));
  CHECK(contains(parse_message("[1,]"), "line 1, column 4"));
  CHECK(contains(parse_message("[NaN]"), "line 1"));
  CHECK(contains(parse_message("[1e999]"), "number overflow"));
}

TEST_CASE("parse_json: a cut anywhere is an error, never a crash or a smaller document") {
  const std::string text = R"({"rows": [{"a": 1.5e-3, "b": [true, null, "x\u00e9\\"]}], "c": {"d": "e"}})";
  REQUIRE_NOTHROW(dsn::parse_json(text, "f"));
  for (std::size_t size = 0; size < text.size(); ++size) parse_message(text.substr(0, size));
}

TEST_CASE("parse_json: long or foreign bytes do not flood the message") {
  const std::string message = parse_message("[\"" + std::string(100'000, 'a'));
  CHECK(message.size() < 500);
  const std::string foreign = parse_message("[\"\xff\xfe\"]");
  for (const char c : foreign) CHECK(static_cast<unsigned char>(c) < 0x80);
}

TEST_CASE("parse_json: comments only where they are allowed") {
  const std::string text = "// why\n{ /* this */ \"a\": 1 }";
  CHECK(dsn::parse_json(text, "f", true)["a"] == 1);
  parse_message(text, false);
  parse_message("/* open", true);
}

TEST_CASE("parse_json: a key that comes twice is refused with its path") {
  CHECK(contains(parse_message(R"({"a": [0, {"b": 1, "c": 2, "b": 3}]})"),
                 "f.json: /a/1/b: found the key twice"));
  CHECK(contains(parse_message(R"({"x/y": {"k": 1, "k": 1}})"), "f.json: /x~1y/k: found the key twice"));
}

TEST_CASE("parse_json: nesting is refused beyond 256 levels, however deep") {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK_NOTHROW(dsn::parse_json(nested(256), "f"));
  CHECK(contains(parse_message(nested(257)), "nesting deeper than 256"));
  CHECK(contains(parse_message(std::string(1'000'000, '[')), "nesting deeper than 256"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK(contains(parse_message(objects), "nesting deeper than 256"));
}

TEST_CASE("dump_json: two spaces, sorted keys and a final newline") {
  CHECK(dsn::dump_json(Json{{"b", 1}, {"a", {1, 2}}}) ==
        "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": 1\n}\n");
}

TEST_CASE("dump_json: every double comes back as it was") {
  dsn::Rng rng(11);
  Json list = Json::array({0.1, 1.0 / 3, 5e-324, std::numeric_limits<double>::max(), -0.0, 1e-7});
  for (int i = 0; i < 2000; ++i) {
    const double value = std::ldexp(rng.normal(), static_cast<int>(rng.below(600)) - 300);
    list.push_back(value);
  }
  const Json back = dsn::parse_json(dsn::dump_json(list), "f");
  for (std::size_t i = 0; i < list.size(); ++i) REQUIRE(back[i].get<double>() == list[i].get<double>());
}

TEST_CASE("dump_json: a number that is not finite is refused with its path, never written as null") {
  Json json;
  json["rows"] = Json::array({1, Json{{"latency_s", std::nan("")}}});
  const auto error = error_of([&] { (void)dsn::dump_json(json); });
  CHECK(error.code() == ErrorCode::failed);
  CHECK(contains(error.message(), "/rows/1/latency_s: found nan, expected a finite number"));
  CHECK_THROWS_AS((void)dsn::dump_json(Json(std::numeric_limits<double>::infinity())), dsn::Error);
}

TEST_CASE("dump_json: text that is not UTF-8 is refused with its path") {
  const auto value = error_of([] { (void)dsn::dump_json(Json{{"name", "\xff"}}); });
  CHECK(value.code() == ErrorCode::failed);
  CHECK(contains(value.message(), "/name: found"));
  CHECK(contains(value.message(), "expected UTF-8 text"));
  Json key;
  key["in"]["\xff"] = 1;
  CHECK(
      contains(error_of([&] { (void)dsn::dump_json(key); }).message(), "/in: found a key that is not UTF-8"));
}

TEST_CASE("tool_info: names tool, version, commit and a known build") {
  const Json tool = dsn::tool_info();
  CHECK(tool["name"] == "dsn");
  CHECK_FALSE(tool["version"].get<std::string>().empty());
  CHECK_FALSE(tool["commit"].get<std::string>().empty());
  const auto build = tool["build"].get<std::string>();
  const std::string kind = build.substr(0, build.find('+'));
  CHECK((kind == "release" || kind == "debugoptimized" || kind == "debug"));
}

TEST_CASE("pure_envelope: the same inputs give the same bytes, with no time, host or argv in them") {
  const std::vector<dsn::InputHash> inputs{{"lut", "ab"}, {"supernet", "cd"}};
  const auto make = [&] { return dsn::dump_json(dsn::pure_envelope("dsn.family", 5, inputs, {{"n", 3}})); };
  dsn::set_process_argv({"dsn", "search"});
  const std::string first = make();
  dsn::set_process_argv({"dsn", "other"});
  CHECK(make() == first);
  const Json json = dsn::parse_json(first, "f");
  CHECK(json["schema"] == "dsn.family");
  CHECK(json["schema_version"] == dsn::schema_version("dsn.family"));
  CHECK(json["seed"] == 5);
  CHECK(json["inputs"][1]["role"] == "supernet");
  CHECK(json["inputs"][1]["sha256"] == "cd");
  CHECK(json["settings"]["n"] == 3);
  CHECK(json["warnings"].empty());
  CHECK(json["tool"] == dsn::tool_info());
  for (const char* key : {"created", "argv", "context"}) CHECK_FALSE(json.contains(key));
}

TEST_CASE("measured_envelope: says when, how and where; SOURCE_DATE_EPOCH is honoured") {
  const SourceDate date("1700000000");
  dsn::set_process_argv({"dsn", "profile", "\xff"});
  const Json json = dsn::measured_envelope("dsn.lut", 7);
  CHECK(json["created"] == "2023-11-14T22:13:20Z");
  CHECK(json["argv"] == Json::array({"dsn", "profile", "\xEF\xBF\xBD"}));
  CHECK(json["seed"] == 7);
  CHECK(json["context"].contains("cpu_model"));
  CHECK_NOTHROW((void)dsn::dump_json(json));
  dsn::set_process_argv({});
}

TEST_CASE("measured_envelope: without a seed it is null with a reason") {
  const Json json = dsn::measured_envelope("dsn.lut", std::nullopt);
  CHECK(json["seed"].is_null());
  CHECK(json["seed_reason"].is_string());
  CHECK(json["created"].get<std::string>().size() == 20);
}

TEST_CASE("measured_envelope: a SOURCE_DATE_EPOCH that is no time is refused") {
  for (const char* value : {"yesterday", "-1", "12x", "99999999999999999999", "253402300800"}) {
    const SourceDate date(value);
    const auto error = error_of([] { (void)dsn::measured_envelope("dsn.lut", 1); });
    CHECK(error.code() == ErrorCode::bad_usage);
    CHECK(contains(error.message(), value));
  }
}

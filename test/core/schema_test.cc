// SPDX-License-Identifier: Apache-2.0
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/core/schema_rules.h"
#include "support.h"

using dsn::ErrorCode;
using dsn::Json;
using dsn_test::contains;
using dsn_test::error_of;
using dsn_test::TempFolder;

namespace {

std::string schema_message(const Json& json, std::string_view name) {
  const auto error = error_of([&] { dsn::check_schema(json, name, "f.json"); });
  CHECK(error.code() == ErrorCode::bad_input);
  return error.message();
}

}  // namespace

TEST_CASE("schema_names: every format of dsn, each a draft-07 schema with a version") {
  const std::vector<std::string> names = dsn::schema_names();
  CHECK(names == std::vector<std::string>{"dsn.bundle", "dsn.doctor", "dsn.export", "dsn.family",
                                          "dsn.frequencies", "dsn.level", "dsn.lut", "dsn.platform",
                                          "dsn.report", "dsn.schedule", "dsn.space", "dsn.status",
                                          "dsn.trace"});
  for (const std::string& name : names) {
    CAPTURE(name);
    const Json schema = dsn::parse_json(dsn::schema_text(name), name);
    CHECK(schema["$schema"] == "http://json-schema.org/draft-07/schema#");
    CHECK(schema["title"] == name);
    CHECK(schema["properties"]["schema"]["const"] == name);
    CHECK(dsn::schema_version(name) == schema["x-version"]);
    CHECK(dsn::schema_version(name) >= 1);
  }
}

TEST_CASE("schemas: each is usable, and its patterns have an end") {
  // std::regex recurses over what + and * match: a long text in a foreign file would overflow the stack.
  const std::function<void(const Json&)> check_patterns = [&](const Json& node) {
    for (const auto& entry : node.items()) {
      if (entry.key() == "pattern" && entry.value().is_string())
        CHECK(entry.value().get<std::string>().find_first_of("+*") == std::string::npos);
      if (entry.value().is_structured()) check_patterns(entry.value());
    }
  };
  for (const std::string& name : dsn::schema_names()) {
    CAPTURE(name);
    const Json schema = dsn::parse_json(dsn::schema_text(name), name);
    CHECK_NOTHROW(dsn::SchemaRules(schema, name));
    check_patterns(schema);
  }
}

TEST_CASE("schema_version, schema_text, check_schema: an unknown name lists the known ones") {
  for (const auto& call : std::vector<std::function<void()>>{
           [] { (void)dsn::schema_version("dsn.x"); }, [] { (void)dsn::schema_text("dsn.x"); },
           [] { dsn::check_schema(Json::object(), "dsn.x", "f"); }}) {
    const auto error = error_of(call);
    CHECK(error.code() == ErrorCode::bad_input);
    CHECK(contains(error.message(), "unknown schema \"dsn.x\""));
    CHECK(contains(error.message(), "dsn.lut"));
  }
}

TEST_CASE("check_schema: a document that is not of this schema says what it is") {
  CHECK(schema_message({{"schema", "dsn.family"}, {"schema_version", 1}}, "dsn.lut") ==
        "f.json: /schema: found \"dsn.family\", expected \"dsn.lut\"");
  CHECK(schema_message(Json::object(), "dsn.lut") == "f.json: /schema: found nothing, expected this key");
  CHECK(schema_message(Json::array(), "dsn.lut") ==
        "f.json: found an array of 0, expected an object with \"schema\": \"dsn.lut\"");
  CHECK(schema_message({{"schema", 3}, {"schema_version", 1}}, "dsn.lut") ==
        "f.json: /schema: found 3, expected \"dsn.lut\"");
}

TEST_CASE(
    "check_schema: a newer version is refused naming both, with a hint; a version is a positive integer") {
  const int known = dsn::schema_version("dsn.lut");
  const auto error = error_of([&] {
    dsn::check_schema({{"schema", "dsn.lut"}, {"schema_version", known + 1}}, "dsn.lut", "f.json");
  });
  CHECK(error.code() == ErrorCode::bad_input);
  CHECK(error.message() == "f.json: /schema_version: found version " + std::to_string(known + 1) +
                               ", expected at most " + std::to_string(known));
  CHECK_FALSE(error.hint().empty());
  for (const Json& version : {Json(0), Json(-1), Json("1"), Json(1.0), Json(nullptr)})
    CHECK(contains(schema_message({{"schema", "dsn.lut"}, {"schema_version", version}}, "dsn.lut"),
                   "f.json: /schema_version: found " + version.dump() + ", expected an integer from 1"));
  CHECK(schema_message({{"schema", "dsn.lut"}}, "dsn.lut") ==
        "f.json: /schema_version: found nothing, expected this key");
}

TEST_CASE("check_schema: a violation names file, path, found and expected") {
  Json json = dsn::pure_envelope("dsn.report", 1, {{"lut", "ab"}}, Json::object());
  json["warnings"] = {"fine", 3};
  CHECK(schema_message(json, "dsn.report") == "f.json: /warnings/1: found 3, expected text");
}

TEST_CASE("check_schema: works from several threads at once") {
  std::vector<std::thread> threads;
  std::vector<std::string> messages(4);
  for (std::string& message : messages) {
    threads.emplace_back([&message] {
      Json json = dsn::pure_envelope("dsn.family", 1, {}, Json::object());
      json["warnings"] = "none";
      for (int i = 0; i < 20; ++i) {
        try {
          dsn::check_schema(json, "dsn.family", "f.json");
        } catch (const dsn::Error& error) {
          message = error.message();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& message : messages) {
    CHECK(contains(message, "f.json: "));
    CHECK(message == messages[0]);
  }
}

TEST_CASE("read_document: reads, accepts comments and checks in one step") {
  const TempFolder folder;
  const auto foreign = folder.put("foreign.json", "// by hand\n{\"schema\": \"dsn.other\"}");
  CHECK(error_of([&] { (void)dsn::read_document(foreign, "dsn.trace"); }).message() ==
        foreign.string() + ": /schema: found \"dsn.other\", expected \"dsn.trace\"");
  CHECK(error_of([&] { (void)dsn::read_document(folder / "none.json", "dsn.trace"); }).code() ==
        ErrorCode::not_found);
}

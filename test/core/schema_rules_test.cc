// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/schema_rules.h"

#include "dsn/core/json.h"
#include "support.h"

using dsn::ErrorCode;
using dsn::Json;
using dsn::SchemaRules;
using dsn_test::contains;
using dsn_test::error_of;

namespace {

constexpr const char* kSchema = R"({
  "type": "object",
  "required": ["levels", "name"],
  "properties": {
    "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2},
    "kind": {"enum": ["measured", "modelled", 3]},
    "levels": {
      "type": "array", "minItems": 1, "maxItems": 2,
      "items": {"$ref": "#/definitions/level"}
    },
    "pair": {"type": "array", "items": [{"type": "integer"}, {"type": "boolean"}]},
    "either": {"oneOf": [{"type": "string"}, {"type": "object", "required": ["a"]}]},
    "units": {"type": "object", "additionalProperties": {"type": "number", "exclusiveMaximum": 10}}
  },
  "definitions": {
    "level": {
      "type": "object",
      "required": ["accuracy"],
      "additionalProperties": false,
      "properties": {
        "accuracy": {"$ref": "#/definitions/fraction"},
        "latency_s": {"type": ["number", "null"], "exclusiveMinimum": 0},
        "id": {"type": "integer"}
      }
    },
    "fraction": {"type": "number", "minimum": 0, "maximum": 1}
  }
})";

std::string message_of(const char* document) {
  const SchemaRules rules(Json::parse(kSchema), "test");
  const auto error = error_of([&] { rules.check(Json::parse(document), "f"); });
  CHECK(error.code() == ErrorCode::bad_input);
  return error.message();
}

}  // namespace

TEST_CASE("SchemaRules: a document that fits passes, unknown keys too where they are not forbidden") {
  const SchemaRules rules(Json::parse(kSchema), "test");
  CHECK_NOTHROW(
      rules.check(Json::parse(R"({"name": "ab", "levels": [{"accuracy": 1, "latency_s": null, "id": 3}],
    "pair": [1, true], "either": {"a": 1}, "units": {"x": 9.5}, "other": []})"),
                  "f"));
}

TEST_CASE("SchemaRules: a wrong type says which are right, through references and arrays") {
  CHECK(message_of(R"({"name": "ab", "levels": [{"accuracy": 0.5}, {"accuracy": "high"}]})") ==
        "f: /levels/1/accuracy: found \"high\", expected a number");
  CHECK(message_of(R"({"name": "ab", "levels": [{"accuracy": 0.5, "latency_s": "x"}]})") ==
        "f: /levels/0/latency_s: found \"x\", expected a number or null");
  CHECK(message_of(R"({"name": "ab", "levels": [{"accuracy": 0.5, "id": 1.5}]})") ==
        "f: /levels/0/id: found 1.5, expected an integer");
  CHECK(message_of(R"({"name": "ab", "levels": [3]})") == "f: /levels/0: found 3, expected an object");
  CHECK(message_of(R"({"name": ["ab"], "levels": [{"accuracy": 0.5}]})") ==
        "f: /name: found an array of 1, expected text");
  CHECK(message_of(R"({"name": "ab", "levels": [{"accuracy": 0.5}], "pair": [1, 2]})") ==
        "f: /pair/1: found 2, expected true or false");
  CHECK(message_of("[]") == "f: found an array of 0, expected an object");
}

TEST_CASE("SchemaRules: a value out of range says the bound") {
  CHECK(message_of(R"({"name": "ab", "levels": [{"accuracy": 1.5}]})") ==
        "f: /levels/0/accuracy: found 1.5, expected a number of at most 1");
  CHECK(message_of(R"({"name": "ab", "levels": [{"accuracy": -1}]})") ==
        "f: /levels/0/accuracy: found -1, expected a number of at least 0");
  CHECK(message_of(R"({"name": "ab", "levels": [{"accuracy": 1, "latency_s": 0}]})") ==
        "f: /levels/0/latency_s: found 0, expected a number above 0");
  CHECK(message_of(R"({"name": "ab", "levels": [{"accuracy": 1}], "units": {"a/b": 10}})") ==
        "f: /units/a~1b: found 10, expected a number below 10");
  CHECK(message_of(R"({"name": "ab", "levels": []})") ==
        "f: /levels: found an array of 0, expected an array of at least 1");
  CHECK(message_of(R"({"name": "ab", "levels": [{"accuracy": 1}, {"accuracy": 1}, {"accuracy": 1}]})") ==
        "f: /levels: found an array of 3, expected an array of at most 2");
}

TEST_CASE("SchemaRules: a missing and a forbidden key are named") {
  CHECK(message_of(R"({"name": "ab"})") == "f: /levels: found nothing, expected this key");
  CHECK(message_of(R"({"name": "ab", "levels": [{}]})") ==
        "f: /levels/0/accuracy: found nothing, expected this key");
  CHECK(message_of(R"({"name": "ab", "levels": [{"accuracy": 1, "acuracy": 1}]})") ==
        "f: /levels/0/acuracy: found an unknown key, expected one of: accuracy, id, latency_s");
}

TEST_CASE("SchemaRules: choices and patterns are shown") {
  CHECK(message_of(R"({"name": "ab", "levels": [{"accuracy": 1}], "kind": "guessed"})") ==
        "f: /kind: found \"guessed\", expected one of \"measured\", \"modelled\", 3");
  CHECK(message_of(R"({"name": "AB", "levels": [{"accuracy": 1}]})") ==
        "f: /name: found \"AB\", expected text that matches ^[a-z]+$");
}

TEST_CASE("SchemaRules: where the rule that failed cannot be told, the place and the validator's words are") {
  const std::string message = message_of(R"({"name": "ab", "levels": [{"accuracy": 1}], "either": 3})");
  CHECK(contains(message, "f: /either: found 3, expected what the schema asks for"));
}

TEST_CASE("SchemaRules: a schema that is none is Error{failed} naming it") {
  const auto error = error_of([] { SchemaRules rules(Json{{"type", 3}}, "dsn.odd"); });
  CHECK(error.code() == ErrorCode::failed);
  CHECK(contains(error.message(), "dsn.odd"));
}

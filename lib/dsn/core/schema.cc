// SPDX-License-Identifier: Apache-2.0
// The only place that sees valijson: it is large and header-only.
#define VALIJSON_USE_EXCEPTIONS 1
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "dsn/core/error.h"
#include "dsn/core/json.h"
#include "dsn/core/json_text.h"
#include "dsn/core/schema_expected.h"
#include "dsn/core/schemas.h"

namespace dsn {
namespace {

const EmbeddedSchema& embedded(std::string_view name) {
  for (const EmbeddedSchema& schema : embedded_schemas()) {
    if (schema.name == name) return schema;
  }
  throw Error(ErrorCode::bad_input, fmt::format("unknown schema \"{}\": expected one of {}", name,
                                                fmt::join(schema_names(), ", ")));
}

struct ParsedSchema {
  Json json;
  valijson::Schema rules;
};

// Parsed once per process; entries are never removed, so references stay valid without the lock.
const ParsedSchema& parsed(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<ParsedSchema>, std::less<>> cache;
  const std::lock_guard lock(mutex);
  if (const auto found = cache.find(name); found != cache.end()) return *found->second;
  auto schema = std::make_unique<ParsedSchema>();
  schema->json = parse_json(embedded(name).text, fmt::format("schema {}", name));
  try {
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(schema->json), schema->rules);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::failed, fmt::format("schema {} is not usable: {}", name, error.what()));
  }
  return *cache.emplace(name, std::move(schema)).first->second;
}

// Reference tokens from valijson's context: "<root>", "[levels]", "[0]".
std::vector<std::string> tokens_of(const std::vector<std::string>& context) {
  std::vector<std::string> tokens;
  for (std::size_t i = 1; i < context.size(); ++i)
    tokens.push_back(context[i].substr(1, context[i].size() - 2));
  return tokens;
}

[[noreturn]] void throw_violation(const Json& json, const Json& schema, const std::string& file,
                                  const valijson::ValidationResults::Error& violation) {
  const Json* value = &json;
  std::string pointer;
  const std::vector<std::string> tokens = tokens_of(violation.context);
  for (const std::string& token : tokens) {
    value = value->is_array() ? &value->at(std::stoul(token)) : &value->at(token);
    pointer = child_pointer(pointer, token);
  }
  const Complaint complaint = explain(*value, schema, tokens, violation.description);
  const std::string where = complaint.key.empty() ? pointer : child_pointer(pointer, complaint.key);
  throw Error(ErrorCode::bad_input, fmt::format("{}: found {}, expected {}", place_text(file, where),
                                                complaint.found, complaint.expected));
}

void check_envelope(const Json& json, const EmbeddedSchema& schema, const std::string& file) {
  const JsonView view(json, file);
  if (!json.is_object()) view.fail(fmt::format("an object with \"schema\": \"{}\"", schema.name));
  const JsonView name = view["schema"];
  if (name.json() != schema.name) name.fail(fmt::format("\"{}\"", schema.name));
  const JsonView version = view["schema_version"];
  if (version.integer(1, std::numeric_limits<std::int64_t>::max()) > schema.version)
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: {}: found version {}, expected at most {}", file, version.pointer(),
                            version.json().dump(), schema.version),
                "the file was written by a newer dsn: update dsn, or make the file again with this one");
}

}  // namespace

void check_schema(const Json& json, std::string_view name, const std::string& file) {
  check_envelope(json, embedded(name), file);
  const ParsedSchema& schema = parsed(name);
  valijson::ValidationResults results;
  valijson::Validator validator;
  bool valid = false;
  try {
    valid = validator.validate(schema.rules, valijson::adapters::NlohmannJsonAdapter(json), &results);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: cannot be checked against {}: {}", file, name, error.what()));
  }
  if (valid) return;
  // Violations of a child come before those of the parents that hold it: the first is the most exact.
  valijson::ValidationResults::Error violation;
  if (!results.popError(violation))
    throw Error(ErrorCode::bad_input, fmt::format("{}: does not fit the schema {}", file, name));
  throw_violation(json, schema.json, file, violation);
}

Json read_document(const fs::path& path, std::string_view schema) {
  Json json = read_json(path, /*allow_comments=*/true);
  check_schema(json, schema, path.string());
  return json;
}

int schema_version(std::string_view schema) {
  return embedded(schema).version;
}

std::string_view schema_text(std::string_view schema) {
  return embedded(schema).text;
}

std::vector<std::string> schema_names() {
  std::vector<std::string> names;
  for (const EmbeddedSchema& schema : embedded_schemas()) names.emplace_back(schema.name);
  return names;
}

}  // namespace dsn

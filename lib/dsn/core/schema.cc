// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <limits>
#include <map>
#include <mutex>

#include "dsn/core/error.h"
#include "dsn/core/json.h"
#include "dsn/core/schema_rules.h"
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

// Parsed once per process; entries are never removed, so references stay valid without the lock.
const SchemaRules& rules_of(const EmbeddedSchema& schema) {
  static std::mutex mutex;
  static std::map<std::string, SchemaRules, std::less<>> cache;
  const std::lock_guard lock(mutex);
  const auto found = cache.find(schema.name);
  if (found != cache.end()) return found->second;
  const std::string name(schema.name);
  return cache.try_emplace(name, parse_json(schema.text, fmt::format("schema {}", name)), name).first->second;
}

void check_envelope(const Json& json, const EmbeddedSchema& schema, const std::string& file) {
  const JsonView view(json, file);
  if (!json.is_object()) view.fail(fmt::format("an object with \"schema\": \"{}\"", schema.name));
  const JsonView name = view["schema"];
  if (name.json() != schema.name) name.fail(fmt::format("\"{}\"", schema.name));
  const JsonView version = view["schema_version"];
  if (version.integer(1, std::numeric_limits<int>::max()) > schema.version)
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: {}: found version {}, expected at most {}", file, version.pointer(),
                            version.json().dump(), schema.version),
                "the file was written by a newer dsn: update dsn, or make the file again with this one");
}

}  // namespace

void check_schema(const Json& json, std::string_view name, const std::string& file) {
  const EmbeddedSchema& schema = embedded(name);
  check_envelope(json, schema, file);
  rules_of(schema).check(json, file);
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

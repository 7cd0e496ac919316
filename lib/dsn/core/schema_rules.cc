// SPDX-License-Identifier: Apache-2.0
// The only place that sees valijson: it is large and header-only.
#define VALIJSON_USE_EXCEPTIONS 1
#include "dsn/core/schema_rules.h"

#include <fmt/format.h>

#include <utility>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/core/json_text.h"
#include "dsn/core/schema_expected.h"

namespace dsn {
namespace {

using Json = nlohmann::json;
using Violation = valijson::ValidationResults::Error;

// Reference tokens from valijson's context: "<root>", "[levels]", "[0]".
std::vector<std::string> tokens_of(const std::vector<std::string>& context) {
  std::vector<std::string> tokens;
  for (std::size_t i = 1; i < context.size(); ++i)
    tokens.push_back(context[i].substr(1, context[i].size() - 2));
  return tokens;
}

[[noreturn]] void throw_violation(const Json& document, const Json& schema, const std::string& file,
                                  const Violation& violation) {
  const Json* value = &document;
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

}  // namespace

struct SchemaRules::Impl {
  Json schema;
  std::string name;
  valijson::Schema rules;
};

SchemaRules::SchemaRules(Json schema, const std::string& name) : impl_(std::make_unique<Impl>()) {
  impl_->schema = std::move(schema);
  impl_->name = name;
  try {
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(impl_->schema), impl_->rules);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::failed, fmt::format("schema {} is not usable: {}", name, error.what()));
  }
}

SchemaRules::~SchemaRules() = default;

void SchemaRules::check(const Json& document, const std::string& file) const {
  valijson::ValidationResults results;
  valijson::Validator validator;
  bool valid = false;
  try {
    valid = validator.validate(impl_->rules, valijson::adapters::NlohmannJsonAdapter(document), &results);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::bad_input,
                fmt::format("{}: cannot be checked against {}: {}", file, impl_->name, error.what()));
  }
  if (valid) return;
  // Violations of a child come before those of the parents that hold it: the first is the most exact.
  Violation violation;
  if (!results.popError(violation))
    throw Error(ErrorCode::bad_input, fmt::format("{}: does not fit the schema {}", file, impl_->name));
  throw_violation(document, impl_->schema, file, violation);
}

}  // namespace dsn

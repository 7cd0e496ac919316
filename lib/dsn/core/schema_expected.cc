// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/schema_expected.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "dsn/core/json_text.h"

namespace dsn {
namespace {

using Json = nlohmann::json;

// Follows "#/definitions/..." references; null if one leads nowhere. Bounded: references may form a circle.
const Json* resolve(const Json& root, const Json* node) {
  constexpr int kMostSteps = 16;
  for (int step = 0; step < kMostSteps && node->is_object() && node->contains("$ref"); ++step) {
    const std::string reference = node->at("$ref").get<std::string>();
    if (reference.empty() || reference[0] != '#') return nullptr;
    const Json::json_pointer pointer(reference.substr(1));
    if (!root.contains(pointer)) return nullptr;
    node = &root.at(pointer);
  }
  return node;
}

const Json* child_rule(const Json& rule, const std::string& token) {
  if (rule.contains("properties") && rule["properties"].contains(token)) return &rule["properties"][token];
  if (rule.contains("items")) {
    const Json& items = rule["items"];
    if (items.is_object()) return &items;
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
    if (error == std::errc{} && items.is_array() && index < items.size()) return &items[index];
  }
  if (rule.contains("additionalProperties") && rule["additionalProperties"].is_object())
    return &rule["additionalProperties"];
  return nullptr;
}

// The part of the schema that speaks of the value at `tokens`; null where that depends on alternatives.
const Json* rule_at(const Json& root, const std::vector<std::string>& tokens) {
  const Json* rule = resolve(root, &root);
  for (const std::string& token : tokens) {
    if (rule == nullptr || !rule->is_object()) return nullptr;
    rule = child_rule(*rule, token);
    if (rule != nullptr) rule = resolve(root, rule);
  }
  return rule != nullptr && rule->is_object() ? rule : nullptr;
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  return type == value.type_name();
}

std::string with_article(const std::string& type) {
  if (type == "null") return type;
  if (type == "string") return "text";
  if (type == "boolean") return "true or false";
  const bool vowel = type == "integer" || type == "array" || type == "object";
  return (vowel ? "an " : "a ") + type;
}

// What `rule` asks of the value itself and the value does not have; empty if it has it all.
std::string unmet(const Json& value, const Json& rule) {
  if (rule.contains("type")) {
    const Json types = rule["type"].is_array() ? rule["type"] : Json::array({rule["type"]});
    if (std::none_of(types.begin(), types.end(), [&](const Json& type) { return has_type(value, type); })) {
      std::vector<std::string> names;
      for (const Json& type : types) names.push_back(with_article(type));
      return fmt::format("{}", fmt::join(names, " or "));
    }
  }
  if (rule.contains("const") && value != rule["const"]) return rule["const"].dump();
  if (rule.contains("enum") &&
      std::find(rule["enum"].begin(), rule["enum"].end(), value) == rule["enum"].end()) {
    std::vector<std::string> names;
    for (const Json& choice : rule["enum"]) names.push_back(choice.dump());
    return fmt::format("one of {}", fmt::join(names, ", "));
  }
  const auto limit = [&](const char* keyword, const char* words, auto broken) -> std::string {
    if (!rule.contains(keyword) || !broken(rule[keyword])) return {};
    return fmt::format(fmt::runtime(words), rule[keyword].dump());
  };
  if (value.is_number()) {
    for (const std::string& text :
         {limit("minimum", "a number of at least {}", [&](const Json& bound) { return value < bound; }),
          limit("exclusiveMinimum", "a number above {}", [&](const Json& bound) { return value <= bound; }),
          limit("maximum", "a number of at most {}", [&](const Json& bound) { return value > bound; }),
          limit("exclusiveMaximum", "a number below {}",
                [&](const Json& bound) { return value >= bound; })}) {
      if (!text.empty()) return text;
    }
  }
  if (value.is_array()) {
    for (const std::string& text : {limit("minItems", "an array of at least {}",
                                          [&](const Json& bound) { return value.size() < bound; }),
                                    limit("maxItems", "an array of at most {}",
                                          [&](const Json& bound) { return value.size() > bound; })}) {
      if (!text.empty()) return text;
    }
  }
  return {};
}

// A key that the rule forbids or misses.
bool explain_keys(const Json& value, const Json& rule, const std::string& description, Complaint& complaint) {
  for (const Json& name : rule.value("required", Json::array())) {
    const auto key = name.get<std::string>();
    // The description is asked too: several keys may be missing, and a violation speaks of one.
    if (value.contains(key) || description.find('\'' + key + '\'') == std::string::npos) continue;
    complaint = {key, "nothing", "this key"};
    return true;
  }
  if (rule.contains("additionalProperties") && rule["additionalProperties"] == false &&
      !rule.contains("patternProperties")) {
    const Json known = rule.value("properties", Json::object());
    for (const auto& entry : value.items()) {
      if (known.contains(entry.key())) continue;
      std::vector<std::string> names;
      for (const auto& property : known.items()) names.push_back(property.key());
      complaint = {entry.key(), "an unknown key", fmt::format("one of: {}", fmt::join(names, ", "))};
      return true;
    }
  }
  return false;
}

}  // namespace

Complaint explain(const Json& value, const Json& schema, const std::vector<std::string>& tokens,
                  const std::string& description) {
  Complaint complaint{"", found_text(value), fmt::format("what the schema asks for ({})", description)};
  const Json* rule = rule_at(schema, tokens);
  if (rule == nullptr) return complaint;
  if (value.is_object() && explain_keys(value, *rule, description, complaint)) return complaint;
  if (std::string expected = unmet(value, *rule); !expected.empty()) {
    complaint.expected = std::move(expected);
  } else if (rule->contains("pattern") && value.is_string()) {
    complaint.expected = fmt::format("text that matches {}", rule->at("pattern").get<std::string>());
  }
  return complaint;
}

}  // namespace dsn

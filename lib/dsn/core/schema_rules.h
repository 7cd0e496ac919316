// SPDX-License-Identifier: Apache-2.0
// A JSON schema ready to check documents with. Not installed: see json.h.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace dsn {

// Immutable: const members are thread-safe.
class SchemaRules {
 public:
  // `schema`: draft-07 without remote references. Throws Error{failed} naming `name` if it is not usable.
  SchemaRules(nlohmann::json schema, const std::string& name);
  ~SchemaRules();

  // Throws Error{bad_input}: "FILE: /levels/0/accuracy: found ..., expected ...".
  void check(const nlohmann::json& document, const std::string& file) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dsn

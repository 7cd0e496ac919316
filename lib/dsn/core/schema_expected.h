// SPDX-License-Identifier: Apache-2.0
// Turns a schema violation into what was found and what was expected. Not installed: see json.h.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace dsn {

struct Complaint {
  std::string key;  // of the value complained about that is the trouble, empty for the value itself
  std::string found;
  std::string expected;
};

// `tokens`: the way to `value` from the document's root. `description`: the validator's own words, used where
// the rule that failed cannot be told from the schema.
[[nodiscard]] Complaint explain(const nlohmann::json& value, const nlohmann::json& schema,
                                const std::vector<std::string>& tokens, const std::string& description);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Pieces of the trace reader. Internal to replay.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "dsn/replay/trace.h"

namespace dsn {

// Refuses keys that the schema allows elsewhere; `why` completes "no KEY ...".
void refuse(const JsonView& v, std::initializer_list<const char*> keys, std::string_view why);
[[nodiscard]] std::string optional_text(const JsonView& v, std::string_view key);
[[nodiscard]] std::optional<double> optional_number(const JsonView& v, std::string_view key);
// "arrivals" of a phase that lasts `length_s`.
[[nodiscard]] Arrivals read_arrivals(const JsonView& v, double length_s);

}  // namespace dsn

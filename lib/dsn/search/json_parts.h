// SPDX-License-Identifier: Apache-2.0
// What both kinds of search write alike. Not installed.
#pragma once

#include <optional>
#include <string>

#include "dsn/profile/lut.h"

namespace dsn {

// Absent numbers are null with a reason beside them.
void put_or_reason(Json& json, const std::string& key, const std::optional<double>& value,
                   const char* reason);

// Where latencies are of: cluster, threads, batch, frequency.
[[nodiscard]] Json to_json(const OperatingPoint& point);

}  // namespace dsn

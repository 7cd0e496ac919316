// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/json_parts.h"

namespace dsn {

void put_or_reason(Json& json, const std::string& key, const std::optional<double>& value,
                   const char* reason) {
  if (value) {
    json[key] = *value;
  } else {
    json[key] = nullptr;
    json[key + "_reason"] = reason;
  }
}

Json to_json(const OperatingPoint& point) {
  Json json = {{"cluster", point.cluster}, {"threads", point.threads}, {"batch", point.batch}};
  put_or_reason(json, "freq_hz", point.freq_hz > 0 ? std::optional<double>(point.freq_hz) : std::nullopt,
                "this machine does not say its frequency");
  return json;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/json.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/json_text.h"

namespace dsn {
namespace {

bool serialisable(const Json& value) {
  if (value.is_number_float()) return std::isfinite(value.get<double>());
  if (!value.is_string()) return true;
  try {
    static_cast<void>(value.dump());
    return true;
  } catch (const Json::type_error&) {
    return false;  // not UTF-8
  }
}

// Throws for the first value that JSON cannot hold.
void require_serialisable(const Json& value, const std::string& pointer) {
  if (value.is_object()) {
    for (const auto& entry : value.items()) {
      if (!serialisable(entry.key()))
        throw Error(ErrorCode::failed,
                    fmt::format("cannot write JSON: {}: found a key that is not UTF-8", pointer));
      require_serialisable(entry.value(), child_pointer(pointer, entry.key()));
    }
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i)
      require_serialisable(value[i], child_pointer(pointer, std::to_string(i)));
  } else if (!serialisable(value)) {
    throw Error(ErrorCode::failed,
                fmt::format("cannot write JSON: {}: found {}, expected {}", pointer.empty() ? "/" : pointer,
                            found_text(value), value.is_string() ? "UTF-8 text" : "a finite number"));
  }
}

bool has_non_finite(const Json& value) {
  if (value.is_number_float()) return !std::isfinite(value.get<double>());
  if (!value.is_structured()) return false;
  for (const Json& child : value) {
    if (has_non_finite(child)) return true;
  }
  return false;
}

struct ProcessArgv {
  std::mutex mutex;
  std::vector<std::string> words;
};

ProcessArgv& process_argv() {
  static ProcessArgv argv;
  return argv;
}

// Arguments are bytes; JSON holds UTF-8.
Json argv_json() {
  ProcessArgv& argv = process_argv();
  const std::lock_guard lock(argv.mutex);
  const Json raw = argv.words;
  return Json::parse(raw.dump(-1, ' ', false, Json::error_handler_t::replace));
}

// Now, or the time that reproducible-builds.org's SOURCE_DATE_EPOCH asks for.
std::time_t creation_time() {
  const char* text = std::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr || *text == '\0') return std::time(nullptr);
  const std::string_view view(text);
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), seconds);
  constexpr std::int64_t kLast =
      253402300799;  // 9999-12-31T23:59:59Z, the last that four digits of year can write
  if (error != std::errc{} || end != view.data() + view.size() || seconds < 0 || seconds > kLast)
    throw Error(ErrorCode::bad_usage,
                fmt::format("SOURCE_DATE_EPOCH: found \"{}\", expected seconds since 1970", view));
  return static_cast<std::time_t>(seconds);
}

std::string utc_text(std::time_t time) {
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec);
}

Json common_envelope(std::string_view schema) {
  return {{"schema", schema},
          {"schema_version", schema_version(schema)},
          {"tool", tool_info()},
          {"warnings", Json::array()}};
}

}  // namespace

std::string dump_json(const Json& json) {
  // nlohmann writes a number that is not finite as null without a word.
  if (has_non_finite(json)) require_serialisable(json, "");
  try {
    return json.dump(2) + '\n';
  } catch (const Json::exception&) {
    require_serialisable(json, "");
    throw Error(ErrorCode::failed, "cannot write JSON: found a value that JSON cannot hold");
  }
}

Json pure_envelope(std::string_view schema, std::uint64_t seed, const std::vector<InputHash>& inputs,
                   Json settings) {
  Json envelope = common_envelope(schema);
  envelope["seed"] = seed;
  Json& list = envelope["inputs"] = Json::array();
  for (const InputHash& input : inputs) list.push_back({{"role", input.role}, {"sha256", input.sha256}});
  envelope["settings"] = std::move(settings);
  return envelope;
}

Json measured_envelope(std::string_view schema, std::optional<std::uint64_t> seed) {
  Json envelope = common_envelope(schema);
  envelope["created"] = utc_text(creation_time());
  envelope["argv"] = argv_json();
  envelope["context"] = host_context();
  if (seed) {
    envelope["seed"] = *seed;
  } else {
    envelope["seed"] = nullptr;
    envelope["seed_reason"] = "nothing random was used";
  }
  return envelope;
}

void set_process_argv(std::vector<std::string> argv) {
  ProcessArgv& process = process_argv();
  const std::lock_guard lock(process.mutex);
  process.words = std::move(argv);
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Reading and writing dsn's JSON files: the envelope, schema checks, and messages that name file and path.
//
// Every file carries one envelope: `schema`, `schema_version`, `tool`, `seed`, `warnings`, then the content.
// A file that holds measurements also carries `created`, `argv` and `context`; a file that is a pure function
// of its inputs carries `inputs` (their hashes) and `settings` instead, so that the same inputs and seed give
// the same bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dsn {

using Json = nlohmann::json;
namespace fs = std::filesystem;

// Parses `path`. Throws Error{not_found | io | bad_input}; a syntax error names file, line and column.
// allow_comments: accept // and /* */ (files written by hand: traces, platforms, spaces).
[[nodiscard]] Json read_json(const fs::path& path, bool allow_comments = false);

// The same for text already in memory; `file` is only used in messages. Also refused: a key that comes twice
// in one object, and nesting deeper than 256 levels (what is done to a Json afterwards recurses).
[[nodiscard]] Json parse_json(std::string_view text, const std::string& file, bool allow_comments = false);

// Serialises with two-space indentation and a final newline. Throws Error{failed} naming the JSON path of any
// number that is not finite: absent numbers must be null with a reason beside them, never a silent null.
[[nodiscard]] std::string dump_json(const Json& json);

// Checks `json` against the shipped schema `name` ("dsn.lut") with valijson, after checking that `schema` is
// `name` and `schema_version` is 1..the version this build knows. Throws Error{bad_input}: "FILE:
// /levels/0/accuracy: found
// ..., expected ...". `file` is only used in messages.
void check_schema(const Json& json, std::string_view name, const std::string& file);

// read_json (comments accepted) + check_schema.
[[nodiscard]] Json read_document(const fs::path& path, std::string_view schema);

// Newest schema_version of `schema` this build reads and writes. Throws Error{bad_input} for an unknown name.
[[nodiscard]] int schema_version(std::string_view schema);

// The text of a shipped JSON schema; names as in schema_names().
[[nodiscard]] std::string_view schema_text(std::string_view schema);
[[nodiscard]] std::vector<std::string> schema_names();

// What made a file: `name`, `version`, `commit`, `build` ("release", "debugoptimized", "debug", then
// "+address" and the like for sanitizers). Part of both envelopes.
[[nodiscard]] Json tool_info();

// An input that an artefact was made from.
struct InputHash {
  std::string role;    // "lut", "supernet"
  std::string sha256;  // of the content that matters, hex
};

// Starts an artefact that is a pure function of `inputs`, `settings` and `seed`: no time, host or argv in it.
[[nodiscard]] Json pure_envelope(std::string_view schema, std::uint64_t seed,
                                 const std::vector<InputHash>& inputs, Json settings);

// Starts an artefact that holds measurements: `created` (UTC, SOURCE_DATE_EPOCH honoured), `argv`, `context`
// (host_context()). Without a seed `seed` is null and `seed_reason` says so. Throws Error{bad_usage} if
// SOURCE_DATE_EPOCH is not a number of seconds.
[[nodiscard]] Json measured_envelope(std::string_view schema, std::optional<std::uint64_t> seed);

// argv for measured_envelope(); set once by main(). thread-safe.
void set_process_argv(std::vector<std::string> argv);

// Host, CPU model, core count, kernel, governor and frequencies, load average, temperatures where readable,
// library versions, build type and sanitizers. Never throws; what cannot be read is null with a
// "<field>_reason". `root` is where /proc and /sys are looked for.
[[nodiscard]] Json host_context(const fs::path& root = "/");

// Typed access that keeps file and JSON pointer for messages. Cheap to copy; refers to the Json it was made
// from.
//   JsonView v(json, "lut.json");  double s = v["rows"][3]["latency_s"].number();
class JsonView {
 public:
  JsonView(const Json& json, std::string file, std::string pointer = {});

  [[nodiscard]] JsonView operator[](
      std::string_view key) const;  // throws Error{bad_input} if absent or not an object
  [[nodiscard]] JsonView operator[](std::size_t index) const;  // throws Error{bad_input} if out of range
  [[nodiscard]] bool has(std::string_view key) const;          // present and not null
  [[nodiscard]] std::size_t size() const;                      // of an array or object

  [[nodiscard]] double number() const;  // finite
  [[nodiscard]] double number(double lowest, double highest) const;
  [[nodiscard]] std::int64_t integer(std::int64_t lowest, std::int64_t highest) const;
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::vector<double> numbers() const;
  [[nodiscard]] std::vector<int> integers() const;
  [[nodiscard]] const Json& json() const noexcept { return *json_; }
  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  [[nodiscard]] const std::string& pointer() const noexcept { return pointer_; }

  // Throws Error{bad_input}: "FILE: POINTER: found FOUND, expected EXPECTED".
  [[noreturn]] void fail(const std::string& expected) const;
  // Throws if the object has a key outside `allowed`, naming its pointer (hand-written files are strict).
  void only_keys(std::initializer_list<std::string_view> allowed) const;

 private:
  const Json* json_;
  std::string file_;
  std::string pointer_;
};

}  // namespace dsn

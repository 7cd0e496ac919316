// SPDX-License-Identifier: Apache-2.0
// A log of JSON lines, or of an array with an element per line, that is written while something runs.
#pragma once

#include <cstdint>
#include <string>

#include "dsn/core/file.h"
#include "dsn/core/json.h"

namespace dsn::cli {

// Every line is whole: one that could not be written (a full disk) is cut off again and ends the log, not the
// run; close() tells. thread-bound.
class JsonLines {
 public:
  // array: one JSON document. Its end is missing when the process is killed: readers of traces forgive that.
  enum class Framing { lines, array };
  // Throws Error{io | permission}.
  explicit JsonLines(const fs::path& path, Framing framing = Framing::lines);
  ~JsonLines();
  JsonLines(const JsonLines&) = delete;
  JsonLines& operator=(const JsonLines&) = delete;
  void add(const Json& line) noexcept;
  // Throws Error{io} when the log is incomplete.
  void close();

 private:
  [[nodiscard]] bool put(const std::string& text) noexcept;
  void fail(int reason) noexcept;
  fs::path path_;
  Framing framing_;
  int descriptor_ = -1;
  int failure_ = 0;  // errno
  std::int64_t whole_bytes_ = 0, lines_ = 0;
};

}  // namespace dsn::cli

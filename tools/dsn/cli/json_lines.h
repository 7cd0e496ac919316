// SPDX-License-Identifier: Apache-2.0
// A log of JSON lines that is written while something runs.
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
  // Throws Error{io | permission}.
  explicit JsonLines(const fs::path& path);
  ~JsonLines();
  JsonLines(const JsonLines&) = delete;
  JsonLines& operator=(const JsonLines&) = delete;
  void add(const Json& line) noexcept;
  // Throws Error{io} when the log is incomplete.
  void close();

 private:
  void fail(int reason) noexcept;
  fs::path path_;
  int descriptor_ = -1;
  int failure_ = 0;  // errno
  std::int64_t whole_bytes_ = 0, lines_ = 0;
};

}  // namespace dsn::cli

// SPDX-License-Identifier: Apache-2.0
// The one exception type of dsn, and how it maps to exit statuses.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace dsn {

// What went wrong, by what a caller can do about it.
enum class ErrorCode {
  failed,       // the work itself failed                                     -> exit 1
  io,           // the operating system refused: disk full, file vanished     -> exit 1
  bad_usage,    // flags that do not fit together                             -> exit 2
  bad_input,    // a file or value that is not what it must be                -> exit 2
  not_found,    // a file, key or level that does not exist                   -> exit 2
  mismatch,     // two artefacts that do not belong together                  -> exit 2
  infeasible,   // the answer is no: no level meets the target                -> exit 3
  unsupported,  // this build or machine cannot: sensor, library, frequency   -> exit 4
  permission,   // this user may not                                          -> exit 4
  interrupted,  // stopped by a signal; what was done so far is saved         -> exit 130 or 143
};

// `message` names the object and the value found; `hint` names the flag, file or privilege that mends it.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, std::string hint = {})
      : code_(code), message_(std::move(message)), hint_(std::move(hint)) {}

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorCode code_;
  std::string message_;
  std::string hint_;
};

// Exit status for a code (style: 0 done, 1 failed, 2 bad usage or input, 3 answer is no, 4 cannot,
// 130 interrupted).
[[nodiscard]] int exit_status(ErrorCode code) noexcept;

}  // namespace dsn

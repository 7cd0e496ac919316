// SPDX-License-Identifier: Apache-2.0
// Runs the real dsn binary and keeps what it says.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace dsn::test {

namespace fs = std::filesystem;

struct Outcome {
  int status = -1;  // exit status; minus the signal's number when a signal ended it
  std::string out, err;
};

struct ProcessOptions {
  std::map<std::string, std::string> env;  // added; TERM is xterm and NO_COLOR unset otherwise
  fs::path folder;                         // working directory
  fs::path out;                            // stdout goes here instead of into Outcome::out
  long file_size_limit = 0;  // bytes that any file may grow to: stands for a full disk (SIGXFSZ ignored)
  bool terminal = false;     // stderr is a terminal of `columns`
  int columns = 80;
  int columns_then = 0;      // what the terminal becomes when the first signal is sent; 0: stays
  std::vector<int> signals;  // sent one after another, each once `ready` says so; 0 is none
  std::function<bool(const std::string& err_so_far)> ready;
};

// Runs `dsn` with `args`. A process that takes longer than a minute is killed and fails the test.
[[nodiscard]] Outcome dsn_tool(const std::vector<std::string>& args, const ProcessOptions& options = {});

[[nodiscard]] inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Lines without the final empty one.
[[nodiscard]] std::vector<std::string> lines_of(const std::string& text);

// True if `err` is what the style asks for: "COMMAND: error: ..." and at most a hint line after it, nothing
// else.
[[nodiscard]] bool is_one_error(const std::string& err, const std::string& command);

}  // namespace dsn::test

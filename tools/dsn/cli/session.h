// SPDX-License-Identifier: Apache-2.0
// What every subcommand has: its common flags, its job, and the one way to print a result.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string_view>

#include "dsn/core/job.h"
#include "dsn/core/json.h"

namespace dsn::cli {

struct CommonFlags {
  bool json = false;
  bool quiet = false;
};

// Lives while a subcommand works. job talks on stderr; print() is for the result, on stdout.
struct Session {
  const CommonFlags& flags;
  Job& job;

  // Writes the result to stdout. Throws Error{io} when stdout cannot take it (a full disk, a closed pipe).
  void print(std::string_view text) const;
  // The artefact with --json, the text for people otherwise.
  void result(const Json& artefact, std::string_view text) const;
};

// A subcommand as main() sees it. run() returns the exit status, or throws.
struct Command {
  CLI::App* app = nullptr;
  std::function<int(const Session&)> run;
};

// Status of a command that did what it could: 0, or 128 + signal after an interruption.
[[nodiscard]] int done_status() noexcept;

}  // namespace dsn::cli

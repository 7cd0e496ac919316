// SPDX-License-Identifier: Apache-2.0
// How a failure is told: one line on stderr, a hint where there is one, and an exit status. Never a stack
// trace.
#pragma once

#include <CLI/CLI.hpp>

#include <exception>
#include <string>

namespace dsn::cli {

// Prints what `failure` says in the name of `command` ("dsn run") and returns the exit status.
[[nodiscard]] int report(const std::exception_ptr& failure, const std::string& command);

// A CLI11 complaint about the command line of `app`: exit status 2, with the option or command that was
// probably meant.
[[nodiscard]] int report_usage(const CLI::ParseError& failure, const CLI::App& app,
                               const std::string& command);

}  // namespace dsn::cli

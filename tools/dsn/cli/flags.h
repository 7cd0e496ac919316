// SPDX-License-Identifier: Apache-2.0
// Flags that several subcommands share, so that they read and fail alike. Durations and fractions go through
// dsn's own parsers: a bare number for a duration is an error that shows the units.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/units.h"

namespace dsn::cli {

// --json, --quiet, and the two examples that end the help.
struct CommonFlags;
void add_common(CLI::App& app, CommonFlags& flags, const std::string& first_example,
                const std::string& second_example);

CLI::Option* add_duration(CLI::App& app, const std::string& name, double& seconds, const std::string& help);
CLI::Option* add_duration(CLI::App& app, const std::string& name, std::optional<double>& seconds,
                          const std::string& help);
CLI::Option* add_fraction(CLI::App& app, const std::string& name, double& fraction, const std::string& help);
CLI::Option* add_fraction(CLI::App& app, const std::string& name, std::optional<double>& fraction,
                          const std::string& help);
CLI::Option* add_seed(CLI::App& app, std::uint64_t& seed);
CLI::Option* add_threads(CLI::App& app, int& threads);

// CLI11's range check without its long description in every help line; what is refused still names both ends.
template <typename T>
[[nodiscard]] CLI::Validator in_range(T lowest, T highest) {
  return CLI::Range(lowest, highest).description("");
}

// CPUs that this process may use.
[[nodiscard]] int default_threads() noexcept;

// Values worth offering where others are accepted, too: completion shows them, help and parser do not change.
void suggest(CLI::App& app, const std::string& option, const std::vector<std::string>& values);

// What suggest() left at an option; empty without.
[[nodiscard]] std::vector<std::string> suggestions_of(const CLI::Validator& check);

// What --data understands, and what --engine does in this build.
[[nodiscard]] std::vector<std::string> data_kinds();
[[nodiscard]] std::vector<std::string> engine_names();

// A file or folder.
CLI::Option* add_path(CLI::App& app, const std::string& name, std::string& path, const std::string& help);

}  // namespace dsn::cli

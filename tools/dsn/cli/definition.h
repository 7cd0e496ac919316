// SPDX-License-Identifier: Apache-2.0
// The command line as data, read out of CLI11's definition. Manual pages and shell completion are made from
// this, so they say what the parser does and nothing else.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace dsn::cli {

// What a shell can offer for a value beside its choices.
enum class Paths { none, files, folders };

struct OptionText {
  std::vector<std::string> names;    // "-o", "--out", as typed; empty for a positional
  std::string value;                 // "PATH", or "off|control" where there are choices; empty for a flag
  std::vector<std::string> choices;  // the only values, or with `open` those worth offering
  bool open = false;                 // other values are accepted, too
  Paths paths = Paths::none;
  std::string help, fallback, group;  // fallback: the default as text, empty when there is none
  bool required = false;
  bool many = false;  // takes more than one value
};

struct CommandText {
  std::string name;  // "run"; "dsn" for the tool itself
  std::string summary;
  std::vector<OptionText> positionals, options;
  std::vector<std::string> examples;  // command lines
};

// One subcommand, or the tool itself.
[[nodiscard]] CommandText read_definition(CLI::App& app);

// All subcommands in the order of the help.
[[nodiscard]] std::vector<CommandText> read_subcommands(CLI::App& root);

}  // namespace dsn::cli

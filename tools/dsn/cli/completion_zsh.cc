// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "cli/completion.h"

namespace dsn::cli {
namespace {

// Inside a specification of _arguments, itself in single quotes.
std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
      continue;
    }
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// ":PATH:_files": what the value is called, and what offers it. Nothing for a flag.
std::string value_spec(const OptionText& option) {
  if (option.value.empty()) return {};
  std::string values;
  for (const auto& choice : option.choices) values += (values.empty() ? "" : " ") + escape(choice);
  const bool paths = option.paths != Paths::none;
  std::string action = " ";  // a space: nothing to offer
  if (paths && !values.empty()) {
    action = " _dsn_values_or_files " + values;  // after a space _arguments adds nothing to the words
  } else if (paths) {
    action = option.paths == Paths::files ? " _dsn_values_or_files" : "_files -/";
  } else if (option.many && !values.empty()) {
    action = " _dsn_list " + values;
  } else if (!values.empty()) {
    action = "(" + values + ")";
  }
  return fmt::format(":{}:{}", escape(option.choices.empty() || option.open ? option.value : "value"),
                     action);
}

// '(-o --out)'{-o+,--out=}'[help]:PATH:_files'
std::string option_spec(const OptionText& option) {
  std::vector<std::string> spellings;
  for (const auto& name : option.names) {
    // "+" and "=": the value may stand in the same word.
    spellings.push_back(name + (option.value.empty() ? "" : name.starts_with("--") ? "=" : "+"));
  }
  const std::string rest = fmt::format("[{}]{}'", escape(option.help), value_spec(option));
  if (spellings.size() == 1) return fmt::format("'{}{}", spellings.front(), rest);
  return fmt::format("'({})'{{{}}}'{}", fmt::join(option.names, " "), fmt::join(spellings, ","), rest);
}

std::string arguments_of(const CommandText& command) {
  std::string text;
  int position = 1;
  for (const auto& option : command.options) text += fmt::format(" \\\n          {}", option_spec(option));
  for (const auto& positional : command.positionals) {
    text += fmt::format(" \\\n          '{}{}'", positional.many ? "*" : std::to_string(position),
                        value_spec(positional));
    ++position;
  }
  return text;
}

constexpr const char* kFunctions = R"ZSH(
# Values, and files; in folder:DIR and the like the path comes after the colon.
_dsn_values_or_files() {
  compset -P '*:' || { (( $# )) && compadd -- "$@" }
  _files
}

# Values with commas between them.
_dsn_list() {
  compset -P '*,'
  compadd -S '' -- "$@"
}
)ZSH";

}  // namespace

std::string zsh_completion(const CommandText& tool, const std::vector<CommandText>& commands) {
  std::string names, cases;
  for (const auto& command : commands) {
    names += fmt::format("        '{}:{}'\n", command.name, escape(command.summary));
    cases += fmt::format("        {})\n          _arguments -S{} ;;\n", command.name, arguments_of(command));
  }
  return fmt::format(
      "#compdef dsn\n# Completion of dsn for zsh, made by `dsn completion zsh`.\n{}\n"
      "_dsn() {{\n  local context state state_descr line\n  typeset -A opt_args\n"
      "  _arguments -C{} \\\n          '1:command:->command' '*::argument:->argument'\n"
      "  case $state in\n    command)\n      local -a commands=(\n{}      )\n"
      "      _describe -t commands 'command' commands ;;\n"
      "    argument)\n      case $words[1] in\n{}      esac ;;\n  esac\n}}\n\n_dsn \"$@\"\n",
      kFunctions, arguments_of(tool), names, cases);
}

}  // namespace dsn::cli

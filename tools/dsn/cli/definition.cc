// SPDX-License-Identifier: Apache-2.0
#include "cli/definition.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>
#include <string_view>

#include "cli/flags.h"

namespace dsn::cli {
namespace {

std::vector<std::string> split(std::string_view text, char delimiter) {
  std::vector<std::string> parts;
  std::istringstream in{std::string(text)};
  for (std::string part; std::getline(in, part, delimiter);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::vector<CLI::Validator*> checks_of(CLI::Option& option) {
  std::vector<CLI::Validator*> checks;
  try {
    for (int i = 0;; ++i) checks.push_back(option.get_validator(i));
  } catch (const CLI::OptionNotFound&) {  // the only way to learn how many there are
  }
  return checks;
}

// A file or folder, by the word that stands for the value.
Paths paths_for(std::string_view type) {
  if (type == "DIR") return Paths::folders;
  for (const std::string_view word : {"PATH", "FILE", "DIR", "SPEC", "CONFIG"}) {
    if (type.find(word) != std::string_view::npos) return Paths::files;
  }
  return Paths::none;
}

void read_value(CLI::Option& option, OptionText& text) {
  if (option.get_type_size() == 0 || option.get_items_expected_max() == 0) return;  // a flag
  std::string type = option.get_type_name();
  for (const CLI::Validator* check : checks_of(option)) {
    const std::string description = check->get_description();
    if (description.size() > 1 && description.front() == '{' && description.back() == '}') {
      text.choices = split(std::string_view(description).substr(1, description.size() - 2), ',');
    }
    if (const auto suggestions = suggestions_of(*check); !suggestions.empty()) {
      text.choices = suggestions;
      text.open = true;
    }
    // The type's name has each check's description at its end.
    const std::string suffix = ":" + description;
    if (!description.empty() && type.size() > suffix.size()) {
      if (const auto at = type.find(suffix); at != std::string::npos) type.erase(at, suffix.size());
    }
  }
  text.paths = paths_for(type);
  text.value = text.choices.empty() || text.open ? type : fmt::format("{}", fmt::join(text.choices, "|"));
  text.fallback = option.get_default_str();
  text.many = option.get_items_expected_max() > 1;
}

OptionText read_option(CLI::Option& option) {
  OptionText text;
  for (const auto& name : option.get_snames()) text.names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) text.names.push_back("--" + name);
  text.help = option.get_description();
  text.group = option.get_group();
  text.required = option.get_required();
  read_value(option, text);
  // A positional's own name says more than its type, unless the choices say it all.
  if (text.names.empty() && (text.choices.empty() || text.open)) text.value = option.get_single_name();
  return text;
}

}  // namespace

CommandText read_definition(CLI::App& app) {
  CommandText text;
  text.name = app.get_name();
  text.summary = app.get_description();
  for (CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    (option->nonpositional() ? text.options : text.positionals).push_back(read_option(*option));
  }
  const std::vector<std::string> footer = split(app.get_footer(), '\n');
  for (const std::string& line : footer) {
    if (line.starts_with("  ")) text.examples.push_back(line.substr(2));
  }
  return text;
}

std::vector<CommandText> read_subcommands(CLI::App& root) {
  std::vector<CommandText> commands;
  for (CLI::App* command : root.get_subcommands({})) commands.push_back(read_definition(*command));
  return commands;
}

}  // namespace dsn::cli

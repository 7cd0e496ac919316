// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <tuple>

#include "cli/completion.h"

namespace dsn::cli {
namespace {

// What does not depend on the commands. Bash parts words at "=" and ":" (COMP_WORDBREAKS), and replaces only
// the last part: the words are joined again here, and what stands before the last part is cut off the
// replies.
constexpr const char* kScript = R"BASH(
# Joins what was typed up to the cursor into `words`, without the parting; `last` is what bash will replace.
_dsn_words() {
  local line=${COMP_LINE:0:COMP_POINT} rest
  words=()
  for last in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    rest=${line#"${line%%[![:space:]]*}"}
    [[ $rest == "$last"* ]] || last=$rest  # the cursor stands inside this word
    if [[ $rest == "$line" && ${#words[@]} -gt 0 ]]; then words[-1]+=$last; else words+=("$last"); fi
    line=${rest#"$last"}
  done
  [[ ${#last} == 1 && $COMP_WORDBREAKS == *"$last"* ]] && last=
}

# The replies for a value of which $1 is typed, each with $2 before it.
_dsn_reply() {
  local scheme= action=-f path before=
  [[ $list == yes && $1 == *,* ]] && before=${1%"${1##*,}"}
  mapfile -t COMPREPLY < <(compgen -P "$before" -W "$choices" -- "${1#"$before"}")
  if [[ $paths != none ]]; then
    [[ $1 == *:* ]] && scheme=${1%"${1##*:}"}  # the path of folder:DIR and the like
    [[ $paths == folders ]] && action=-d
    while IFS= read -r path; do COMPREPLY+=("$scheme$path"); done < <(compgen "$action" -- "${1#"$scheme"}")
    compopt -o filenames 2>/dev/null
  fi
  [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace 2>/dev/null
  COMPREPLY=("${COMPREPLY[@]/#/$2}")
}

_dsn() {
  local words=() last= current word command= pending= position=0 choices= paths=none list=no options=
  COMPREPLY=()
  _dsn_words
  current=${words[-1]}
  for word in "${words[@]:1:${#words[@]}-2}"; do
    if [[ -n $pending ]]; then
      pending=
    elif [[ $word == -* ]]; then
      [[ $word != *=* ]] && _dsn_value "$command $word" && pending=$word
    elif [[ -z $command ]]; then
      command=$word
    else
      ((position++))
    fi
  done
  choices= paths=none list=no
  if [[ -n $pending ]]; then
    _dsn_value "$command $pending" && _dsn_reply "$current" ""
  elif [[ $current == --*=* ]]; then
    _dsn_value "$command ${current%%=*}" && _dsn_reply "${current#*=}" "${current%%=*}="
  elif [[ $current == -* ]]; then
    _dsn_options "$command"
    choices=$options
    _dsn_reply "$current" ""
  elif [[ -z $command ]]; then
    choices=$_dsn_commands
    _dsn_reply "$current" ""
  elif _dsn_value "$command $position"; then
    _dsn_reply "$current" ""
  fi
  COMPREPLY=("${COMPREPLY[@]#"${current%"$last"}"}")
}

complete -F _dsn dsn
)BASH";

// choices, paths and list of an option or positional, as the script's variables.
using Offer = std::tuple<std::vector<std::string>, Paths, bool>;

std::string pattern(const std::string& command, const std::string& name) {
  return fmt::format("\"{} {}\"", command, name);
}

// case patterns by what they offer: most options share it with others.
using Cases = std::map<Offer, std::vector<std::string>>;

void collect(const CommandText& command, const std::string& name, Cases& cases) {
  int position = 0;
  for (const auto& positional : command.positionals) {
    cases[{positional.choices, positional.paths, positional.many}].push_back(
        positional.many ? fmt::format("\"{} \"[0-9]*", name) : pattern(name, std::to_string(position)));
    ++position;
  }
  for (const auto& option : command.options) {
    if (option.value.empty()) continue;
    for (const auto& spelling : option.names)
      cases[{option.choices, option.paths, option.many}].push_back(pattern(name, spelling));
  }
}

std::string value_function(const Cases& cases) {
  std::string text =
      "# What \"COMMAND OPTION\" or \"COMMAND POSITION\" takes; fails when it takes nothing.\n"
      "_dsn_value() {\n  choices= paths=none list=no\n  case $1 in\n";
  for (const auto& [offer, patterns] : cases) {
    const auto& [choices, paths, list] = offer;
    std::string body;
    if (list) body += " list=yes";
    if (!choices.empty()) body += fmt::format(" choices=\"{}\"", fmt::join(choices, " "));
    if (paths != Paths::none) body += paths == Paths::files ? " paths=files" : " paths=folders";
    text += fmt::format("    {})\n     {} ;;\n", fmt::join(patterns, " | "), body.empty() ? " :" : body);
  }
  return text + "    *) return 1 ;;\n  esac\n}\n";
}

std::string options_line(const CommandText& command, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& option : command.options)
    names.insert(names.end(), option.names.begin(), option.names.end());
  return fmt::format("    \"{}\") options=\"{}\" ;;\n", name, fmt::join(names, " "));
}

}  // namespace

std::string bash_completion(const CommandText& tool, const std::vector<CommandText>& commands) {
  Cases cases;
  std::string options = "_dsn_options() {\n  case $1 in\n" + options_line(tool, "");
  std::vector<std::string> names;
  collect(tool, "", cases);
  for (const auto& command : commands) {
    names.push_back(command.name);
    collect(command, command.name, cases);
    options += options_line(command, command.name);
  }
  options += "  esac\n}\n";
  return fmt::format(
      "# Completion of dsn for bash, made by `dsn completion bash`.\n"
      "_dsn_commands=\"{}\"\n\n{}\n{}{}",
      fmt::join(names, " "), options, value_function(cases), kScript);
}

}  // namespace dsn::cli

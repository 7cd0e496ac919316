// SPDX-License-Identifier: Apache-2.0
#include "cli/man_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <utility>

#include "dsn/version.h"

namespace dsn::cli {
namespace {

// One UTF-8 character as roff's \[uXXXX]: old formatters read bytes as Latin-1.
std::string unicode(std::string_view text, std::size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  unsigned code = lead & (0x3fU >> more);
  for (int i = 0; i < more && at + 1 < text.size(); ++i)
    code = code << 6U | (static_cast<unsigned char>(text[++at]) & 0x3fU);
  return fmt::format("\\[u{:04X}]", code);
}

// Text that roff prints as it is: "-" stays a minus that can be copied, and no line starts with a request.
std::string plain(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) >= 0x80) {
      out += unicode(text, i);
    } else if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '"') {
      out += "\\(dq";
    } else if (c == '\'') {
      out += "\\(aq";
    } else if (c == '.' && (i == 0 || text[i - 1] == '\n')) {
      out += "\\&.";
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(std::string_view text) {
  return "\\fB" + plain(text) + "\\fR";
}

std::string italic(std::string_view text) {
  return "\\fI" + plain(text) + "\\fR";
}

std::string sentence(std::string_view text) {
  if (text.empty()) return {};
  const bool ends = std::string_view(".!?").find(text.back()) != std::string_view::npos;
  return plain(text) + (ends ? "" : ".");
}

// Help texts are clauses, some of which tell their default themselves.
std::string explain(const OptionText& option) {
  std::string text = sentence(option.help);
  if (!option.fallback.empty())
    text += fmt::format("{}Default: {}.", text.empty() ? "" : "\n", plain(option.fallback));
  return text.empty() ? "" : text + "\n";
}

// Alternatives are typed as they are, other values stand for something. A line may break after a "|".
std::string value_of(const OptionText& option) {
  if (option.choices.empty() || option.open) return italic(option.value);
  std::string text;
  for (const auto& choice : option.choices) text += (text.empty() ? "" : "|\\:") + bold(choice);
  return text;
}

std::string item(const OptionText& option) {
  std::string names;
  for (const auto& name : option.names) names += (names.empty() ? "" : ", ") + bold(name);
  if (!option.value.empty()) names += (names.empty() ? "" : " ") + value_of(option);
  return fmt::format(".TP\n{}\n{}{}", names, explain(option),
                     option.required && !option.names.empty() ? "Required.\n" : "");
}

std::string header(const std::string& page) {
  const BuildInfo& info = build_info();
  std::string title = page;
  std::transform(title.begin(), title.end(), title.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return fmt::format(
      ".\\\" Made by `dsn man` from the definition of the command line.\n"
      ".TH \"{}\" \"1\" \"{}\" \"dsn {}\" \"dsn manual\"\n.ad l\n",
      plain(title), info.date, plain(info.version));
}

// What must be given, in the order to give it.
std::string synopsis(const CommandText& command) {
  std::string text = fmt::format(".SH SYNOPSIS\n{}", bold("dsn " + command.name));
  for (const auto& positional : command.positionals) {
    const std::string value = value_of(positional);
    text += ' ' + (positional.required ? value : "[" + value + "]");
  }
  for (const auto& option : command.options) {
    if (option.required) text += fmt::format(" {} {}", bold(option.names.back()), value_of(option));
  }
  const bool optional = std::any_of(command.options.begin(), command.options.end(),
                                    [](const auto& option) { return !option.required; });
  return text + (optional ? " [" + italic("OPTION") + "]...\n" : "\n");
}

// The arguments, then the options, those of a named group below its name.
std::string options(const CommandText& command) {
  std::string text;
  if (!command.positionals.empty()) text += ".SH ARGUMENTS\n";
  for (const auto& positional : command.positionals) text += item(positional);
  std::vector<std::string> groups;
  for (const auto& option : command.options) {
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) groups.push_back(option.group);
  }
  std::stable_partition(groups.begin(), groups.end(),
                        [](const std::string& group) { return group == "Options"; });
  if (!groups.empty()) text += ".SH OPTIONS\n";
  for (const auto& group : groups) {
    if (group != "Options") text += fmt::format(".SS \"{}\"\n", plain(group));
    for (const auto& option : command.options) {
      if (option.group == group) text += item(option);
    }
  }
  return text;
}

// From ErrorCode in dsn/core/error.h.
std::string exit_status_section() {
  constexpr std::array<std::pair<const char*, const char*>, 6> kRows{
      {{"0", "Done."},
       {"1", "The work failed, or the system refused: a full disk, a file that vanished."},
       {"2", "Bad usage, or an input that is not what it must be."},
       {"3", "It ran, and the answer is no: no level meets the target, too few deadlines were met."},
       {"4", "This build or this machine cannot: a library, a sensor, a privilege."},
       {"130, 143",
        "Interrupted by SIGINT or SIGTERM; what was done is saved and frequencies are put back."}}};
  std::string text = ".SH \"EXIT STATUS\"\n";
  for (const auto& [status, meaning] : kRows)
    text += fmt::format(".TP\n{}\n{}\n", bold(status), plain(meaning));
  return text;
}

std::string environment_section() {
  return fmt::format(
      ".SH ENVIRONMENT\n.TP\n{}\nWhen set, no colours on a terminal.\n"
      ".TP\n{}\nSeconds since 1970 that stand for the present time in written files.\n",
      bold("NO_COLOR"), bold("SOURCE_DATE_EPOCH"));
}

// A command line, continued as a shell reads it where it would be wider than the page.
std::string continued(const std::string& command) {
  constexpr std::size_t kWidest = 70;
  std::string text;
  std::size_t column = 0;
  for (std::size_t at = 0; at < command.size();) {
    const std::size_t next = std::min(command.find(' ', at + 1), command.size());
    if (column + (next - at) > kWidest) {
      text += " \\\n   ";
      column = 3;
    }
    text += command.substr(at, next - at);
    column += next - at;
    at = next;
  }
  return text;
}

std::string examples(const CommandText& command) {
  if (command.examples.empty()) return {};
  std::string text = ".SH EXAMPLES\n.nf\n";
  for (const auto& line : command.examples) {
    text += fmt::format("{}{}\n", &line == &command.examples.front() ? "" : ".sp\n", plain(continued(line)));
  }
  return text + ".fi\n";
}

// Long lines of text parted at spaces: roff fills them again, and people can read the source.
std::string wrapped(const std::string& page) {
  constexpr std::size_t kWidest = 79;
  std::string out;
  bool filled = true;
  for (std::size_t begin = 0; begin < page.size();) {
    const std::size_t end = page.find('\n', begin);
    std::string line = page.substr(begin, end - begin);
    begin = end + 1;
    if (line.starts_with(".nf") || line.starts_with(".fi")) filled = line.starts_with(".fi");
    while (filled && !line.starts_with('.') && line.size() > kWidest) {
      const std::size_t space = line.rfind(' ', kWidest);
      if (space == std::string::npos || space == 0) break;
      out += line.substr(0, space) + '\n';
      line.erase(0, space + 1);
      if (line.starts_with('.')) line.insert(0, "\\&");
    }
    out += line + '\n';
  }
  return out;
}

}  // namespace

std::string man_page(const CommandText& command) {
  return wrapped(fmt::format(
      "{}.SH NAME\ndsn\\-{} \\- {}\n{}.SH DESCRIPTION\n{}\n{}{}{}.SH \"SEE ALSO\"\n{}(1)\n",
      header("dsn-" + command.name), plain(command.name), plain(command.summary), synopsis(command),
      sentence(command.summary), options(command), examples(command), exit_status_section(), bold("dsn")));
}

std::string man_page(const CommandText& tool, const std::vector<CommandText>& commands) {
  std::string text =
      fmt::format("{}.SH NAME\ndsn \\- dynamic super\\-networks under a latency target\n", header("dsn"));
  text += fmt::format(".SH SYNOPSIS\n{} {} [{}]...\n.br\n{} [{}]\n", bold("dsn"), italic("COMMAND"),
                      italic("ARGUMENT"), bold("dsn --version"), bold("--json"));
  text += fmt::format(
      ".SH DESCRIPTION\n{}\nResults go to standard output, everything else to standard error.\n.SH "
      "COMMANDS\n",
      sentence(tool.summary));
  for (const auto& command : commands)
    text += fmt::format(".TP\n{}(1)\n{}\n", bold("dsn-" + command.name), sentence(command.summary));
  text += options(tool) + exit_status_section() + environment_section() + ".SH \"SEE ALSO\"\n";
  for (const auto& command : commands) {
    text += fmt::format("{}(1){}\n", bold("dsn-" + command.name), &command == &commands.back() ? "" : ",");
  }
  return wrapped(text);
}

}  // namespace dsn::cli

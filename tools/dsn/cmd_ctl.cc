// SPDX-License-Identifier: Apache-2.0
// dsn ctl: changes and asks a dsn run while it runs.
#include <fmt/format.h>

#include <charconv>
#include <memory>

#include "cli/flags.h"
#include "cli/status_text.h"
#include "commands.h"
#include "dsn/control/local_socket.h"
#include "dsn/control/request.h"

namespace dsn::cli {
namespace {

constexpr std::size_t kColumns = 120;  // of a status on paper

struct Flags {
  std::string socket, command, app, value;
  double timeout_s = 5;
};

double parse_value(ControlRequest::Command command, const std::string& text) {
  switch (command) {
    case ControlRequest::Command::set_target:
      return parse_duration(text, "set-target");
    case ControlRequest::Command::set_min_accuracy:
      return parse_fraction(text, "set-min-accuracy");
    default:
      break;
  }
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  throw Error(ErrorCode::bad_usage, fmt::format("set-priority: found \"{}\", expected a whole number", text));
}

// "[APP] VALUE" after a command that takes both.
std::string form_of(const ControlWord& word) {
  std::string form(word.name);
  if (word.takes_app) form += " [APP]";
  if (!word.field.empty()) form += " VALUE";
  return form;
}

ControlRequest request_of(const Flags& flags) {
  const ControlWord& word = control_word(flags.command);
  ControlRequest request;
  request.command = word.command;
  const bool takes_value = !word.field.empty();
  // Alone it is the value: the run then has one application.
  const bool only_value = takes_value && flags.value.empty();
  const std::string& value = only_value ? flags.app : flags.value;
  const bool fits =
      takes_value ? !value.empty() : (flags.value.empty() && (word.takes_app || flags.app.empty()));
  if (!fits) {
    const int found = static_cast<int>(!flags.app.empty()) + static_cast<int>(!flags.value.empty());
    throw Error(ErrorCode::bad_usage,
                fmt::format("{}: found {} arguments, expected {}", word.name, found, form_of(word)));
  }
  if (takes_value) request.value = parse_value(word.command, value);
  if (!only_value) request.app = flags.app;
  return request;
}

Json parse_answer(const std::string& line, const fs::path& socket) {
  Json answer = parse_json(line, socket.string());
  const JsonView view(answer, socket.string());
  if (!view["ok"].boolean()) {
    throw Error(ErrorCode::bad_input, view["error"].text(), view.has("hint") ? view["hint"].text() : "");
  }
  return answer;
}

std::string text_of(const Json& answer, const std::string& socket) {
  if (!answer.contains("status")) return "";
  check_schema(answer["status"], "dsn.status", socket);
  std::string text;
  for (const std::string& line : status_lines(answer["status"], nullptr, kColumns)) text += line + '\n';
  return text;
}

int run(const Flags& flags, const Session& session) {
  const ControlRequest request = request_of(flags);
  const fs::path socket = flags.socket.empty() ? default_socket_path() : fs::path(flags.socket);
  LineClient client(socket, flags.timeout_s);
  const Json answer = parse_answer(client.ask(to_json(request).dump()), socket);
  session.result(answer.contains("status") ? answer["status"] : answer, text_of(answer, socket.string()));
  return 0;
}

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const ControlWord& word : control_words()) names.emplace_back(word.name);
  return names;
}

std::string command_help() {
  std::string help;
  for (const ControlWord& word : control_words())
    help += fmt::format("{}{}: {}", help.empty() ? "" : "; ", form_of(word), word.help);
  return help;
}

}  // namespace

Command add_ctl(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App& app = *root.add_subcommand("ctl", "Change the targets of a dsn run, pause it, ask what it does");
  app.add_option("COMMAND", flags->command, command_help())->required();
  app.add_option("APP", flags->app, "One of the run's applications; may be left out where it has one");
  app.add_option("VALUE", flags->value, "What the set commands take");
  add_path(app, "--socket", flags->socket,
           "What dsn run was given; default: $XDG_RUNTIME_DIR/dsn.sock, or /tmp/dsn-UID.sock");
  add_duration(app, "--timeout", flags->timeout_s, "How long to wait for the answer; default 5 s");
  add_common(app, common, "dsn ctl set-target cam 12ms", "dsn ctl status --json");
  suggest(app, "COMMAND", command_names());
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli

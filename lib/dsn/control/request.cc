// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/request.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "dsn/core/error.h"

namespace dsn {
namespace {

using Command = ControlRequest::Command;

constexpr double kLongestTarget = 1e6;  // seconds
constexpr std::int64_t kHighestPriority = 1000;

constexpr std::array<ControlWord, 7> kWords{{
    {Command::set_target, "set-target", "target_s", true, "latency target: 12ms, 1.5s"},
    {Command::set_min_accuracy, "set-min-accuracy", "min_accuracy", true, "accuracy floor: 0.92, 92%"},
    {Command::set_priority, "set-priority", "priority", true,
     "whose goals are kept first where not all can be: a whole number, higher first"},
    {Command::pause, "pause", "", true, "no inferences until resume; without APP: all"},
    {Command::resume, "resume", "", true, "go on; without APP: all"},
    {Command::status, "status", "", false, "what every application and cluster does now"},
    {Command::stop, "stop", "", false, "end the run as Ctrl-C does: its summary is written"},
}};

double read_value(const JsonView& value, Command command) {
  switch (command) {
    case Command::set_target:
      if (const double target_s = value.number(0, kLongestTarget); target_s > 0) return target_s;
      value.fail("more than 0");
    case Command::set_min_accuracy:
      return value.number(0, 1);
    default:
      return static_cast<double>(value.integer(-kHighestPriority, kHighestPriority));
  }
}

}  // namespace

std::span<const ControlWord> control_words() noexcept {
  return kWords;
}

const ControlWord& control_word(std::string_view name) {
  const auto found =
      std::find_if(kWords.begin(), kWords.end(), [&](const ControlWord& word) { return word.name == name; });
  if (found != kWords.end()) return *found;
  std::vector<std::string_view> names;
  for (const ControlWord& word : kWords) names.push_back(word.name);
  throw Error(ErrorCode::bad_usage,
              fmt::format("command: found \"{}\", expected one of {}", name, fmt::join(names, ", ")));
}

const ControlWord& control_word(Command command) noexcept {
  return kWords[static_cast<std::size_t>(command)];
}

ControlRequest parse_request(std::string_view line) {
  const Json json = parse_json(line, "request");
  const JsonView view(json, "request");
  const ControlWord& word = control_word(view["command"].text());
  ControlRequest request;
  request.command = word.command;
  // A key that means nothing is a mistake someone should hear of.
  for (const auto& [key, value] : json.items()) {
    if (key == "command") continue;
    if (key == "app" && word.takes_app) {
      request.app = view["app"].text();
      if (request.app.empty()) view["app"].fail("an application's name");
    } else if (word.field.empty() || key != word.field) {
      throw Error(ErrorCode::bad_input, fmt::format("request: {} takes no \"{}\"", word.name, key));
    }
  }
  if (!word.field.empty()) request.value = read_value(view[word.field], word.command);
  return request;
}

Json to_json(const ControlRequest& request) {
  const ControlWord& word = control_word(request.command);
  Json json = {{"command", word.name}};
  if (!request.app.empty()) json["app"] = request.app;
  if (request.command == Command::set_priority) {
    json[std::string(word.field)] = static_cast<std::int64_t>(request.value);
  } else if (!word.field.empty()) {
    json[std::string(word.field)] = request.value;
  }
  return json;
}

}  // namespace dsn

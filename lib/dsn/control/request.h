// SPDX-License-Identifier: Apache-2.0
// What a run can be told while it runs: one JSON object per line.
//
//   {"command": "set-target", "app": "cam", "target_s": 0.012}
//   {"command": "set-min-accuracy", "app": "cam", "min_accuracy": 0.92}
//   {"command": "set-priority", "app": "cam", "priority": 2}
//   {"command": "pause", "app": "cam"}      resume; without "app": all
//   {"command": "status"}                   stop
//
// "app" may be left out where there is one application. The answer is one line, too: {"ok": true, ...}, or
// {"ok": false, "error": ..., "hint": ...}.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "dsn/core/json.h"

namespace dsn {

struct ControlRequest {
  enum class Command { set_target, set_min_accuracy, set_priority, pause, resume, status, stop };
  Command command = Command::status;
  std::string app;   // empty: not named
  double value = 0;  // of the set commands: seconds, fraction, or a whole number
};

// How a command is written, and what it takes.
struct ControlWord {
  ControlRequest::Command command;
  std::string_view name;   // "set-target"
  std::string_view field;  // "target_s"; empty: takes no value
  bool takes_app = false;
  std::string_view help;
};
[[nodiscard]] std::span<const ControlWord> control_words() noexcept;
// Throws Error{bad_usage} naming the commands that there are.
[[nodiscard]] const ControlWord& control_word(std::string_view name);
[[nodiscard]] const ControlWord& control_word(ControlRequest::Command command) noexcept;

// Throws Error{bad_input}: one line that names the key and what it must be.
[[nodiscard]] ControlRequest parse_request(std::string_view line);
[[nodiscard]] Json to_json(const ControlRequest& request);

}  // namespace dsn

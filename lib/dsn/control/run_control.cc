// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/run_control.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "dsn/control/line_server.h"
#include "dsn/core/error.h"

namespace dsn {

RunControl::RunControl(GoalChanges& changes, const RunBoard& board, std::function<void()> stop)
    : changes_(changes), board_(board), stop_(std::move(stop)) {}

std::string_view RunControl::app_of(const ControlRequest& request) const {
  const auto names = changes_.names();
  if (!request.app.empty()) return names[changes_.index(request.app)];
  if (names.size() == 1) return names.front();
  throw Error(ErrorCode::bad_input,
              fmt::format("request: no \"app\", expected one of {}", fmt::join(names, ", ")));
}

Json RunControl::perform(const ControlRequest& request) const {
  using Command = ControlRequest::Command;
  Json done = {{"ok", true}};
  switch (request.command) {
    case Command::set_target:
      changes_.set_target(app_of(request), request.value);
      break;
    case Command::set_min_accuracy:
      changes_.set_min_accuracy(app_of(request), request.value);
      break;
    case Command::set_priority:
      changes_.set_priority(app_of(request), static_cast<int>(request.value));
      break;
    case Command::pause:
    case Command::resume: {
      const bool pauses = request.command == Command::pause;
      if (!request.app.empty()) {
        changes_.pause(app_of(request), pauses);
      } else {
        for (const std::string& name : changes_.names()) changes_.pause(name, pauses);
      }
      break;
    }
    case Command::status:
      done["status"] = status_of(board_);
      break;
    case Command::stop:
      stop_();
      break;
  }
  return done;
}

std::string RunControl::answer(std::string_view line) const {
  try {
    return perform(parse_request(line)).dump(-1, ' ', true, Json::error_handler_t::replace);
  } catch (const Error& error) {
    return refusal(error.message(), error.hint());
  }
}

}  // namespace dsn

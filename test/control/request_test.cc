// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/request.h"

#include <doctest/doctest.h>

#include <string>

#include "../fakes/error_of.h"

using namespace dsn;
using namespace dsn::fakes;
using Command = ControlRequest::Command;

TEST_CASE("parse_request: every command, and what to_json makes of it, mean the same") {
  const ControlRequest target =
      parse_request(R"({"command": "set-target", "app": "cam", "target_s": 0.012})");
  CHECK(target.command == Command::set_target);
  CHECK(target.app == "cam");
  CHECK(target.value == 0.012);
  CHECK(parse_request(R"({"command":"set-min-accuracy","min_accuracy":0.92})").value == 0.92);
  CHECK(parse_request(R"({"command":"set-priority","app":"cam","priority":-2})").value == -2);
  CHECK(parse_request(R"({"command":"pause"})").app.empty());
  for (const ControlWord& word : control_words()) {
    CAPTURE(word.name);
    ControlRequest request{word.command, word.takes_app ? "cam" : "", word.field.empty() ? 0.0 : 1.0};
    const ControlRequest again = parse_request(to_json(request).dump());
    CHECK(again.command == request.command);
    CHECK(again.app == request.app);
    CHECK(again.value == request.value);
    CHECK(&control_word(word.command) == &word);
    CHECK(&control_word(word.name) == &word);
  }
}

TEST_CASE("parse_request: what makes no sense is named with what was expected") {
  const auto complaint = [](const char* line) {
    return error_of([&] { (void)parse_request(line); }).message();
  };
  CHECK(complaint("") != "");
  CHECK(complaint("set-target cam 12ms").starts_with("request"));
  CHECK(complaint("[]") == "request: found an array of 0, expected an object with \"command\"");
  CHECK(complaint("{}") == "request: /command: found nothing, expected this key");
  CHECK(complaint(R"({"command": 7})") == "request: /command: found 7, expected text");
  CHECK(complaint(R"({"command": "explode"})") ==
        "command: found \"explode\", expected one of set-target, set-min-accuracy, set-priority, pause, "
        "resume, "
        "status, stop");
  CHECK(complaint(R"({"command": "set-target", "app": "cam"})") ==
        "request: /target_s: found nothing, expected this key");
  CHECK(complaint(R"({"command": "set-target", "target_s": 0})") ==
        "request: /target_s: found 0, expected more than 0");
  CHECK(complaint(R"({"command": "set-target", "target_s": "12ms"})").find("expected a number") !=
        std::string::npos);
  CHECK(complaint(R"({"command": "set-target", "target_s": 1e999})") != "");
  CHECK(complaint(R"({"command": "set-target", "target_s": -1})") != "");
  CHECK(complaint(R"({"command": "set-min-accuracy", "min_accuracy": 92})").find("from 0 to 1") !=
        std::string::npos);
  CHECK(complaint(R"({"command": "set-priority", "priority": 1.5})").find("an integer") != std::string::npos);
  CHECK(complaint(R"({"command": "set-target", "target_s": 1, "min_accuracy": 1})") ==
        "request: set-target takes no \"min_accuracy\"");
  CHECK(complaint(R"({"command": "stop", "app": "cam"})") == "request: stop takes no \"app\"");
  CHECK(complaint(R"({"command": "pause", "app": ""})").find("an application's name") != std::string::npos);
  CHECK(complaint(R"({"command": "stop", "command": "status"})") != "");
}

// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/line_server.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "../fakes/error_of.h"
#include "../fakes/temp_folder.h"
#include "dsn/core/json.h"
#include "raw_client.h"

using namespace dsn;
using namespace dsn::fakes;
using dsn::test::kPatience;
using dsn::test::RawClient;

namespace {

std::string echo(std::string_view line) {
  return "<" + std::string(line) + ">";
}

struct Cut {
  std::vector<std::string> lines;
  int too_long = 0;
};

// What a splitter makes of `bytes` that come in pieces of `piece`.
Cut cut(std::string_view bytes, std::size_t longest, std::size_t piece) {
  Cut made;
  LineSplitter splitter(longest);
  const auto take = [&](std::string_view line) { made.lines.emplace_back(line); };
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    splitter.feed(bytes.substr(at, piece), take, [&] { ++made.too_long; });
  splitter.finish(take);
  return made;
}

}  // namespace

TEST_CASE("LineSplitter: lines are the same however their bytes come") {
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 100U}) {
    CAPTURE(piece);
    const Cut made = cut("one\r\n\ntwo\nlonger than nine\nthree\nlast", 9, piece);
    CHECK(made.lines == std::vector<std::string>{"one", "", "two", "three", "last"});
    CHECK(made.too_long == 1);
  }
  CHECK(cut("123456789\n", 9, 4).too_long == 0);
  CHECK(cut("1234567890", 9, 4).lines.empty());
  CHECK(cut("", 9, 1).lines.empty());
}

TEST_CASE(
    "LineServer: each client's lines are answered in order, and the file is its owner's and gone at the "
    "end") {
  const TempFolder temp;
  const fs::path path = temp / "dsn.sock";
  {
    const LineServer server(path, echo);
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK(S_ISSOCK(info.st_mode));
    CHECK((info.st_mode & 0777U) == 0600U);
    LineClient one(path, kPatience), two(path, kPatience);
    CHECK(one.ask("a") == "<a>");
    CHECK(two.ask("b") == "<b>");
    RawClient raw(path);
    raw.send("c\nd\ne");
    raw.end();
    CHECK(raw.lines(3) == std::vector<std::string>{"<c>", "<d>", "<e>"});
    CHECK(raw.closed());
    CHECK(one.ask("f") == "<f>");
  }
  CHECK_FALSE(fs::exists(path));
  CHECK(error_of([&] { const LineClient none(path); }).code() == ErrorCode::not_found);
}

TEST_CASE("LineServer: an answer is one line, and a throwing one is an error in JSON") {
  const TempFolder temp;
  const LineServer server(temp / "s", [](std::string_view line) -> std::string {
    if (line == "error") throw Error(ErrorCode::bad_input, "no \xff such", "try \"this\"");
    if (line == "throw") throw std::runtime_error("other");
    return "two\nlines";
  });
  LineClient client(temp / "s", kPatience);
  CHECK(client.ask("x") == "two lines");
  const Json error = Json::parse(client.ask("error"));
  CHECK(error["ok"] == false);
  CHECK(error["hint"] == "try \"this\"");
  CHECK(Json::parse(client.ask("throw"))["error"] == "other");
  CHECK(client.ask("y") == "two lines");
}

TEST_CASE("ListeningSocket: a socket that a killed process left is replaced, anything else is not") {
  const TempFolder temp;
  const fs::path path = temp / "dsn.sock";
  {  // as after SIGKILL: the file stays, nobody listens
    const ListeningSocket socket(path);
    fs::rename(path, temp / "left");
  }
  fs::rename(temp / "left", path);
  CHECK(error_of([&] { const LineClient none(path); }).code() == ErrorCode::not_found);
  {
    const LineServer server(path, echo);
    CHECK(LineClient(path, kPatience).ask("a") == "<a>");
    const Error busy = error_of([&] { const LineServer second(path, echo); });
    CHECK(busy.code() == ErrorCode::failed);
    CHECK(busy.message().find("another process listens there") != std::string::npos);
    CHECK(LineClient(path, kPatience).ask("b") == "<b>");
  }
  write_file_atomic(path, "a letter");
  CHECK(error_of([&] { const LineServer server(path, echo); }).code() == ErrorCode::bad_usage);
  CHECK(read_file(path) == "a letter");
  CHECK(error_of([&] { const ListeningSocket socket(temp / "none" / "s"); }).code() == ErrorCode::not_found);
  const Error longest = error_of([&] { const ListeningSocket socket(temp / std::string(120, 'x')); });
  CHECK(longest.code() == ErrorCode::bad_usage);
  CHECK(longest.message().find("expected 1 to 107") != std::string::npos);
}

TEST_CASE("ListeningSocket: a file that took its place stays") {
  const TempFolder temp;
  const fs::path path = temp / "dsn.sock";
  {
    const ListeningSocket socket(path);
    fs::remove(path);
    write_file_atomic(path, "someone else's");
  }
  CHECK(read_file(path) == "someone else's");
}

TEST_CASE("LineServer: a line that is too long gets one error, and the next line its answer") {
  const TempFolder temp;
  const LineServer server(temp / "s", echo, {.line_bytes = 100});
  RawClient client(temp / "s");
  client.send(std::string(100000, 'x') + "\nshort\n");
  const auto answers = client.lines(2);
  REQUIRE(answers.size() == 2);
  CHECK(Json::parse(answers[0])["error"] == "a line of more than 100 bytes");
  CHECK(answers[1] == "<short>");
}

TEST_CASE("LineServer: one client too many is told so; when one leaves there is room again") {
  const TempFolder temp;
  const LineServer server(temp / "s", echo, {.clients = 2});
  auto one = std::make_unique<LineClient>(temp / "s", kPatience);
  LineClient two(temp / "s", kPatience);
  CHECK(one->ask("a") == "<a>");
  CHECK(two.ask("b") == "<b>");
  RawClient three(temp / "s");
  const auto told = three.lines(1);
  REQUIRE(told.size() == 1);
  CHECK(Json::parse(told[0])["ok"] == false);
  CHECK(three.closed());
  one.reset();
  bool served = false;
  for (int i = 0; i < 1000 && !served; ++i) {  // the server sees in its own time that one has gone
    RawClient again(temp / "s");
    again.send("c\n");
    served = again.lines(1) == std::vector<std::string>{"<c>"};
  }
  CHECK(served);
  CHECK(two.ask("d") == "<d>");
}

TEST_CASE("LineServer: a client that reads no answers is not read from, and holds up nobody") {
  const TempFolder temp;
  const LineServer server(temp / "s", [](std::string_view) { return std::string(1000, 'a'); },
                          {.unsent_bytes = 10000});
  RawClient deaf(temp / "s");
  std::string flood;
  for (int i = 0; i < 1000000; ++i) flood += "x\n";
  CHECK(deaf.send(flood, 300) < flood.size());  // answers would take a gigabyte
  CHECK(LineClient(temp / "s", kPatience).ask("y") == std::string(1000, 'a'));
}

TEST_CASE("LineServer: clients that go away in the middle of a line or of an answer do no harm") {
  const TempFolder temp;
  const LineServer server(temp / "s", [](std::string_view) { return std::string(100000, 'a'); });
  for (int i = 0; i < 50; ++i) {
    RawClient client(temp / "s");
    client.send(i % 2 == 0 ? "half" : "one\ntwo\nthree");
  }
  CHECK(LineClient(temp / "s", kPatience).ask("y").size() == 100000);
}

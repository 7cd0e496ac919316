// SPDX-License-Identifier: Apache-2.0
// Manual pages and completion: checked by the programs that read them, where this machine has those.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fakes/temp_folder.h"
#include "process.h"

using namespace dsn::test;  // NOLINT(google-build-using-namespace)
namespace fs = std::filesystem;

namespace {

// What a command of the shell prints, errors included.
std::string shell(const std::string& command) {
  const std::string both = "{ " + command + "; } 2>&1";
  FILE* pipe = popen(both.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    text.append(buffer.data(), n);
  pclose(pipe);
  return text;
}

bool there_is(const std::string& program) {
  return !shell("command -v " + program).empty();
}

void put(const fs::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

std::vector<std::string> commands() {
  std::vector<std::string> names;
  bool listed = false;
  for (const std::string& line : lines_of(dsn_tool({"--help"}).out)) {
    if (listed && line.starts_with("  ") && line[2] != ' ')
      names.push_back(line.substr(2, line.find(' ', 2) - 2));
    if (line.starts_with("Subcommands:")) listed = true;
  }
  return names;
}

// Parts a line as readline does: at spaces, and around = and : which are words of their own.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words{""};
  for (const char c : line) {
    const bool breaks = c == '=' || c == ':';
    if (c == ' ' || breaks || words.back() == "=" || words.back() == ":") {
      if (!words.back().empty()) words.emplace_back();
      if (c == ' ') continue;
    }
    words.back() += c;
  }
  return words;
}

std::string quoted(const std::string& text) {
  return "'" + text + "'";
}

// What bash offers for a line with the cursor at its end, in `folder`; one word after another, sorted.
std::string offered(const std::string& line, const fs::path& folder) {
  std::string words;
  for (const auto& word : words_of(line)) words += " " + quoted(word);
  const auto count = words_of(line).size();
  const fs::path script = folder / ".ask";
  put(script,
      "source .completion || exit\n"
      "COMP_WORDS=(" +
          words + " ) COMP_CWORD=" + std::to_string(count - 1) +
          "\n"
          "COMP_LINE=" +
          quoted(line) + " COMP_POINT=" + std::to_string(line.size()) +
          "\n"
          "spec=$(complete -p dsn) && eval \"${spec#complete -F }\" && printf '%s\\n' \"${COMPREPLY[@]}\" | "
          "sort | paste -sd' '\n");
  std::string text = shell("cd " + quoted(folder) + " && LC_ALL=C bash .ask");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

TEST_CASE("dsn man --out: a page for dsn and for each command, which man's readers accept without a word") {
  const dsn::fakes::TempFolder temp;
  REQUIRE(dsn_tool({"man", "--out", temp.path() / "man1"}).status == 0);
  std::vector<std::string> pages{"dsn.1"};
  for (const auto& command : commands()) pages.push_back("dsn-" + command + ".1");
  REQUIRE(pages.size() > 10);
  const bool mandoc = there_is("mandoc"), groff = there_is("groff");
  if (!mandoc) MESSAGE("no mandoc here: pages are not checked with it");
  if (!groff) MESSAGE("no groff here: pages are not checked with it");
  for (const auto& page : pages) {
    CAPTURE(page);
    const fs::path file = temp.path() / "man1" / page;
    REQUIRE(fs::exists(file));
    if (mandoc) CHECK(shell("mandoc -T lint " + quoted(file)) == "");
    if (groff) CHECK(shell("groff -ww -man -Tutf8 " + quoted(file) + " >/dev/null") == "");
  }
  const auto count = std::distance(fs::directory_iterator(temp.path() / "man1"), {});
  CHECK(count == static_cast<std::ptrdiff_t>(pages.size()));
}

TEST_CASE("dsn man COMMAND: has every option that the command's help has") {
  for (const std::string command : {"run", "profile", "replay"}) {
    const std::string page = dsn_tool({"man", command}).out;
    std::size_t options = 0;
    for (const std::string& line : lines_of(dsn_tool({command, "--help"}).out)) {
      if (!line.starts_with("  -")) continue;
      std::string names = line.substr(2, line.find(' ', 2) - 2);
      names = names.substr(names.find("--"));
      for (std::size_t at = 0; (at = names.find('-', at)) != std::string::npos; at += 2)
        names.insert(at, "\\");
      CAPTURE(names);
      CHECK(has(page, "\\fB" + names + "\\fR"));
      ++options;
    }
    CHECK(options > 5);
  }
  CHECK(has(dsn_tool({"man", "run"}).out, "\\fBoff\\fR|\\:\\fBobserve\\fR|\\:\\fBcontrol\\fR"));
}

TEST_CASE("dsn man: a command that does not exist is named, and a page and --out exclude each other") {
  const dsn::fakes::TempFolder temp;
  const Outcome unknown = dsn_tool({"man", "fly"});
  CHECK(unknown.status == 2);
  CHECK(is_one_error(unknown.err, "dsn man"));
  CHECK(has(unknown.err, "fly"));
  CHECK(dsn_tool({"man", "run", "--out", temp.path()}).status == 2);
  CHECK(dsn_tool({"completion", "fish"}).status == 2);
}

TEST_CASE("a file may be called like a command") {
  const Outcome outcome = dsn_tool({"platform", "run"});
  CHECK(outcome.status == 2);
  CHECK(has(outcome.err, "dsn platform: error: cannot read run"));
}

TEST_CASE("completion in bash: commands, options, their values, files and folders") {
  const dsn::fakes::TempFolder temp;
  REQUIRE(there_is("bash"));
  put(temp.path() / ".completion", dsn_tool({"completion", "bash"}).out);
  put(temp.path() / "board.json", "");
  fs::create_directory(temp.path() / "bundle one");
  const std::vector<std::array<std::string, 2>> asked{
      {"dsn r", "replay restore run"},
      {"dsn --v", "--version"},
      {"dsn run --dv", "--dvfs"},
      {"dsn run --dvfs ", "control observe off"},
      {"dsn run --dvfs o", "observe off"},
      {"dsn run --dvfs=o", "observe off"},
      {"dsn run --dvfs=", "control observe off"},
      {"dsn run b --overrun skip --dvfs c", "control"},
      {"dsn run b", "board.json bundle one"},
      {"dsn run bundle b", ""},  // there is no second argument
      {"dsn run --fps ", ""},    // nor anything to offer for a number
      {"dsn run --fps 3 b", "board.json bundle one"},
      {"dsn run --policy=static:la", "largest"},
      {"dsn run --input video:boa", "board.json"},
      {"dsn run --input=fash", "fashion-mnist"},
      {"dsn import --out b", "board.json bundle one"},
      {"dsn import --space fm", "fmnist-mbv3 fmnist-slimmable"},
      {"dsn import o", "ofa"},
      {"dsn import ofa b", "board.json bundle one"},
      {"dsn replay t.json --policy dsn,sch", "dsn,schedutil"},
      {"dsn completion ", "bash zsh"},
      {"dsn man comp", "compare completion"},
      {"dsn fly b", ""}};
  for (const auto& [line, expected] : asked) {
    CAPTURE(line);
    CHECK(offered(line, temp.path()) == expected);
  }
  CHECK(offered("dsn ", temp.path()).find("platform") != std::string::npos);
}

TEST_CASE("completion in zsh: the script parses and is made for dsn") {
  const dsn::fakes::TempFolder temp;
  const std::string script = dsn_tool({"completion", "zsh"}).out;
  CHECK(script.starts_with("#compdef dsn\n"));
  for (const auto& command : commands()) CHECK(has(script, "\n        " + command + ")\n"));
  CHECK(has(script, ":(off observe control)'"));
  CHECK(has(script, "'(-o --out)'{-o+,--out=}'["));
  if (!there_is("zsh")) {
    MESSAGE("no zsh here: the script is not parsed");
    return;
  }
  put(temp.path() / "_dsn", script);
  CHECK(shell("zsh -n " + quoted(temp.path() / "_dsn")) == "");
}

TEST_CASE("dsn --version --json: the tool as files name it, and the features of the build") {
  const Outcome outcome = dsn_tool({"--version", "--json"});
  CHECK(outcome.status == 0);
  CHECK(outcome.err.empty());
  const auto version = nlohmann::json::parse(outcome.out);
  const std::string text = dsn_tool({"--version"}).out;
  CHECK(text.starts_with("dsn " + version["tool"]["version"].get<std::string>() + "\n"));
  CHECK(has(text, "commit: " + version["tool"]["commit"].get<std::string>()));
  CHECK(version["features"]["LibTorch"].is_string() == has(text, "LibTorch: yes ("));
  CHECK(version["features"]["OpenCV"].is_string() == has(text, "OpenCV: yes ("));
  CHECK(version["executors"].empty() == has(text, "executors: none"));
  const Outcome report = dsn_tool({"replay", DSN_SOURCE_ROOT "/examples/two-apps.trace.json", "--policy",
                                   "static:smallest", "--threads", "1", "--json"});
  CHECK(nlohmann::json::parse(report.out)["tool"] == version["tool"]);
}

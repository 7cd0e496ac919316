// SPDX-License-Identifier: Apache-2.0
#include "process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "fakes/temp_folder.h"

namespace dsn::test {
namespace {

constexpr auto kLongest = std::chrono::seconds(60);
constexpr auto kPoll = std::chrono::milliseconds(5);

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// What a terminal has received so far; the terminal's other end must be read or the tool blocks.
void drain(int terminal, std::string& text) {
  char buffer[4096];
  for (ssize_t n = 0; (n = read(terminal, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
}

void resize(int terminal, int columns) {
  winsize size{};
  size.ws_row = 24;
  size.ws_col = static_cast<unsigned short>(columns);
  ioctl(terminal, TIOCSWINSZ, &size);
}

int open_for(const fs::path& path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (descriptor < 0) throw std::runtime_error("cannot open " + path.string());
  return descriptor;
}

[[noreturn]] void become(const std::vector<std::string>& args, const ProcessOptions& options, int out,
                         int err) {
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  if (!options.folder.empty() && chdir(options.folder.c_str()) != 0) _exit(125);
  if (options.file_size_limit > 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{static_cast<rlim_t>(options.file_size_limit),
                       static_cast<rlim_t>(options.file_size_limit)};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(125);
  }
  unsetenv("NO_COLOR");
  setenv("TERM", "xterm", 1);
  for (const auto& [name, value] : options.env) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv{const_cast<char*>("dsn")};
  for (const auto& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  execv(DSN_BINARY, argv.data());
  _exit(126);
}

}  // namespace

Outcome dsn_tool(const std::vector<std::string>& args, const ProcessOptions& options) {
  const fakes::TempFolder temp;
  const int out = open_for(options.out.empty() ? temp / "out" : options.out);
  int err = -1, terminal = -1;
  if (options.terminal) {
    winsize size{};
    size.ws_row = 24;
    size.ws_col = static_cast<unsigned short>(options.columns);
    if (openpty(&terminal, &err, nullptr, nullptr, &size) != 0)
      throw std::runtime_error("no pseudo-terminal");
    fcntl(terminal, F_SETFL, O_NONBLOCK);
  } else {
    err = open_for(temp / "err");
  }
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) become(args, options, out, err);
  close(out);
  close(err);

  Outcome outcome;
  int status = 0;
  std::size_t sent = 0;
  const auto start = std::chrono::steady_clock::now();
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (terminal >= 0) drain(terminal, outcome.err);
    if (sent < options.signals.size()) {
      const bool ready =
          !options.ready || options.ready(terminal >= 0 ? outcome.err : read_all(temp / "err"));
      if (ready && sent == 0 && options.columns_then > 0) resize(terminal, options.columns_then);
      if (ready) kill(child, options.signals[sent++]);
    }
    if (std::chrono::steady_clock::now() - start > kLongest) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      FAIL("dsn " << args.front() << " did not end");
    }
    std::this_thread::sleep_for(kPoll);
  }
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  if (terminal >= 0) {
    drain(terminal, outcome.err);
    close(terminal);
  } else {
    outcome.err = read_all(temp / "err");
  }
  if (options.out.empty()) outcome.out = read_all(temp / "out");
  return outcome;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool is_one_error(const std::string& err, const std::string& command) {
  const auto lines = lines_of(err);
  if (lines.empty() || lines.size() > 2) return false;
  if (lines[0].rfind(command + ": error: ", 0) != 0 || lines[0].size() <= command.size() + 9) return false;
  return lines.size() == 1 || lines[1].rfind("  hint: ", 0) == 0;
}

}  // namespace dsn::test

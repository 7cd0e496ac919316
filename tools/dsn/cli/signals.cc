// SPDX-License-Identifier: Apache-2.0
#include "cli/signals.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "cli/terminal.h"

namespace dsn::cli {
namespace {

std::atomic<int> g_count{0};
std::atomic<int> g_first{0};
int g_pipe[2] = {-1, -1};
static_assert(std::atomic<int>::is_always_lock_free, "the signal handler uses them");

struct Undo {
  std::mutex mutex;
  std::list<std::function<void()>> entries;
};

// Never destroyed: the watching thread may still use it while the process ends.
Undo& undo_list() {
  static auto* list = new Undo;
  return *list;
}

void say(std::string_view text) noexcept {
  const auto written = write(STDERR_FILENO, text.data(), text.size());
  static_cast<void>(written);  // nothing to be done about it here
}

extern "C" void on_signal(int number) {
  int none = 0;
  g_first.compare_exchange_strong(none, number);
  if (g_count.fetch_add(1) >= 2) _exit(128 + number);
  const char byte = static_cast<char>(number);
  const auto written = write(g_pipe[1], &byte, 1);
  static_cast<void>(written);
}

// Does what a handler may not: a handler can interrupt malloc or a lock. The mask of the threads that
// libraries start before main() is not ours, so waiting with sigwait() is no option.
void watch() {
  char number = 0;
  for (int seen = 0; read(g_pipe[0], &number, 1) == 1;) {
    if (++seen == 1) {
      if (is_terminal(Stream::err)) say("\r\033[Kstopping; once more to leave at once\n");
      continue;
    }
    Undo& undo = undo_list();
    const std::lock_guard lock(undo.mutex);
    for (const auto& entry : undo.entries) entry();
    _exit(128 + number);
  }
}

}  // namespace

void install_signal_handlers() {
  if (pipe2(g_pipe, O_CLOEXEC) != 0) return;  // out of descriptors: the default actions stay
  std::thread(watch).detach();
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    if (sigaction(number, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;  // libraries that do not expect EINTR go on
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, nullptr);
  }
}

bool stop_requested() noexcept {
  return g_first.load() != 0;
}

int signal_status() noexcept {
  const int number = g_first.load();
  return number == 0 ? 0 : 128 + number;
}

OnForcedExit::OnForcedExit(std::function<void()> undo) {
  Undo& list = undo_list();
  const std::lock_guard lock(list.mutex);
  entry_ = list.entries.insert(list.entries.end(), std::move(undo));
}

OnForcedExit::~OnForcedExit() {
  Undo& list = undo_list();
  const std::lock_guard lock(list.mutex);
  list.entries.erase(entry_);
}

}  // namespace dsn::cli

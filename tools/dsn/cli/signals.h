// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and kill: the first signal asks the work to stop where its state is consistent; a second one puts
// back what must be put back and leaves at once; a third leaves without even that. SIGINT, SIGTERM and
// SIGHUP.
#pragma once

#include <functional>
#include <list>

namespace dsn::cli {

// Call once, first thing in main(). Signals that the parent chose to ignore (nohup) stay ignored.
void install_signal_handlers();

// thread-safe and async-signal-safe.
[[nodiscard]] bool stop_requested() noexcept;
// 128 + the first signal's number, 0 when there was none.
[[nodiscard]] int signal_status() noexcept;

// While this lives, `undo` is run (on another thread) before a second signal ends the process. For what
// outlives a process: frequencies, temporary files. `undo` must not throw. thread-safe.
class OnForcedExit {
 public:
  explicit OnForcedExit(std::function<void()> undo);
  ~OnForcedExit();
  OnForcedExit(const OnForcedExit&) = delete;
  OnForcedExit& operator=(const OnForcedExit&) = delete;

 private:
  std::list<std::function<void()>>::iterator entry_;
};

}  // namespace dsn::cli

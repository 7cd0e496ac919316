// SPDX-License-Identifier: Apache-2.0
// Threads beside the run: they take no signals, and end when told to.
#pragma once

#include <signal.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace dsn {

// Threads made while this lives take no signals: one that arrived there would not interrupt the waiting of
// the threads that work.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept;
  ~SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

// Does `work` every `period_s` on a thread of its own, first after one period. What `work` throws ends it.
class Background {
 public:
  Background(double period_s, std::function<void()> work);
  // Waits for work that is under way.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

 private:
  void loop(double period_s) noexcept;
  std::function<void()> work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace dsn

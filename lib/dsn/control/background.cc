// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/background.h"

#include <chrono>
#include <exception>
#include <utility>

namespace dsn {

SignalsBlocked::SignalsBlocked() noexcept {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before_);
}

SignalsBlocked::~SignalsBlocked() {
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

Background::Background(double period_s, std::function<void()> work) : work_(std::move(work)) {
  const SignalsBlocked blocked;
  thread_ = std::thread([this, period_s] { loop(period_s); });
}

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Background::loop(double period_s) noexcept {
  const auto period = std::chrono::duration<double>(period_s);
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, period, [this] { return ending_; })) {
    lock.unlock();
    try {
      work_();
    } catch (const std::exception&) {
      return;
    }
    lock.lock();
  }
}

}  // namespace dsn

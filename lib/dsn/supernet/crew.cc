// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/crew.h"

#include <algorithm>
#include <utility>

#include "dsn/supernet/torch_threads.h"

namespace dsn {

Crew::Crew(int members) : members_(std::max(1, members)) {
  for (int m = 1; m < members_; ++m) threads_.emplace_back([this, m] { work(m); });
}

Crew::~Crew() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Crew::run(const std::function<void(int)>& task) {
  {
    const std::lock_guard lock(mutex_);
    task_ = &task;
    running_ = members_ - 1;
    ++round_;
  }
  changed_.notify_all();
  const TorchThreads one_thread(1);
  call(0);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return running_ == 0; });
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void Crew::call(int member) {
  try {
    (*task_)(member);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::current_exception();
  }
}

void Crew::work(int member) {
  set_torch_threads(1);
  for (std::uint64_t seen = 0;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stop_ || round_ != seen; });
    if (stop_) return;
    seen = round_;
    lock.unlock();
    call(member);
    lock.lock();
    --running_;
    lock.unlock();
    changed_.notify_all();
  }
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// A few threads that run the same function side by side, each with one LibTorch thread.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace dsn {

// thread-bound. The calling thread is member 0, so a crew of one makes no thread.
class Crew {
 public:
  explicit Crew(int members);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  [[nodiscard]] int members() const noexcept { return members_; }
  // Calls task(member) on every member and waits for all. Rethrows the first exception that a member met.
  void run(const std::function<void(int)>& task);

 private:
  void work(int member);
  void call(int member);

  const int members_;
  const std::function<void(int)>* task_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::exception_ptr error_;
  std::uint64_t round_ = 0;
  int running_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace dsn

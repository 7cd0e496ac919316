// SPDX-License-Identifier: Apache-2.0
// Other work on the machine, made on purpose: what levels cost beside it is what a manager meets. Inner
// header of profile.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "dsn/profile/lut.h"

namespace dsn {

// Threads that are busy for as long as it lives. They may run where the thread that makes them may, at its
// priority: the scheduler places them as it would any other program's.
class CoRunner {
 public:
  // Returns once all of them work. Throws std::system_error when there are no more threads to be had.
  explicit CoRunner(const CoLoad& load);
  ~CoRunner();
  CoRunner(const CoRunner&) = delete;
  CoRunner& operator=(const CoRunner&) = delete;

 private:
  void compute() noexcept;
  void stream(std::vector<float> data) noexcept;
  void stop() noexcept;

  std::atomic<bool> ending_{false};
  std::atomic<int> working_{0};
  std::vector<std::thread> workers_;
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// The engine's threads: short parallel loops, many per inference.
//
// A loop's chunks are taken one by one, by the calling thread from the front and by the others from the back,
// so that in peace each works on the same part as in the loop before, and a thread that was held up by other
// work on its core is not waited for: whoever is free takes its chunks. Threads without work look for some
// for at most 150 us, most of it yielding, then sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace dsn::elastic {

// thread-bound: one thread calls run().
class TaskPool {
 public:
  TaskPool() = default;
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  // From the next loop on: `threads` >= 1, the calling one among them. Makes those that are missing; what is
  // too many sleeps. Throws std::system_error when there are no more threads to be had.
  void use(int threads);
  [[nodiscard]] int threads() const noexcept { return active_.load(std::memory_order_relaxed); }

  // At most this many chunks per loop.
  static constexpr int kMostChunks = 0xFFFF;
  // task(chunk, thread) for each chunk of [0, chunks), each once; returns when all are done. The task must
  // not throw. thread < threads().
  template <typename Task>
  void run(int chunks, const Task& task) noexcept {
    if (chunks <= 1 || threads() == 1) {
      for (int i = 0; i < chunks; ++i) task(i, 0);
      return;
    }
    share(
        chunks, [](const void* t, int chunk, int thread) { (*static_cast<const Task*>(t))(chunk, thread); },
        &task);
  }

 private:
  using Call = void (*)(const void* task, int chunk, int thread);
  void share(int chunks, Call call, const void* task) noexcept;
  void work(int thread) noexcept;
  bool take_back(std::uint64_t& left, int thread) noexcept;

  // What is left of the present loop: round << 32 | chunks from the back << 16 | first chunk.
  alignas(64) std::atomic<std::uint64_t> left_{0};
  alignas(64) std::atomic<std::uint32_t> round_{0};
  alignas(64) std::atomic<std::uint32_t> done_{0};
  // Written before left_ announces them, read only by who has taken a chunk of that round.
  Call call_ = nullptr;
  const void* task_ = nullptr;
  std::atomic<int> active_{1};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace dsn::elastic

// SPDX-License-Identifier: Apache-2.0
#include "dsn/engine/elastic/task_pool.h"

#include <chrono>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace dsn::elastic {
namespace {

// Looking for work: at once for as long as parts of one inference are apart, then letting others have the
// core.
constexpr std::chrono::microseconds kSpin{20}, kYield{150};

void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits a moment for `ready`; whether it came.
template <typename Ready>
bool spin_until(const Ready& ready) noexcept {
  const auto start = std::chrono::steady_clock::now();
  for (auto now = start; now - start < kYield; now = std::chrono::steady_clock::now()) {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      pause();
    }
    if (now - start >= kSpin) std::this_thread::yield();
  }
  return false;
}

constexpr std::uint32_t first_of(std::uint64_t left) {
  return static_cast<std::uint32_t>(left & 0xFFFF);
}
constexpr std::uint32_t end_of(std::uint64_t left) {
  return static_cast<std::uint32_t>(left >> 16 & 0xFFFF);
}
constexpr std::uint64_t kEndStep = std::uint64_t{1} << 16;

}  // namespace

void TaskPool::use(int threads) {
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  while (static_cast<int>(workers_.size()) < threads - 1) {
    const int number = static_cast<int>(workers_.size()) + 1;
    workers_.emplace_back([this, number] { work(number); });
  }
  active_.store(threads);
  active_.notify_all();
}

TaskPool::~TaskPool() {
  stop_.store(true);
  active_.store(0);
  active_.notify_all();
  round_.fetch_add(1);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void TaskPool::share(int chunks, Call call, const void* task) noexcept {
  call_ = call;
  task_ = task;
  done_.store(0, std::memory_order_relaxed);
  const std::uint32_t round = round_.load(std::memory_order_relaxed) + 1;
  const auto count = static_cast<std::uint32_t>(chunks);
  left_.store(std::uint64_t{round} << 32 | std::uint64_t{count} << 16, std::memory_order_release);
  round_.store(round);
  round_.notify_all();

  std::uint32_t mine = 0;
  std::uint64_t left = left_.load(std::memory_order_relaxed);
  while (first_of(left) < end_of(left)) {
    if (!left_.compare_exchange_weak(left, left + 1, std::memory_order_acquire)) continue;
    call(task, static_cast<int>(first_of(left)), 0);
    ++mine;
    left = left_.load(std::memory_order_relaxed);
  }
  // What others have taken is being done.
  const std::uint32_t theirs = count - mine;
  const auto all_done = [&] { return done_.load(std::memory_order_acquire) == theirs; };
  while (!spin_until(all_done)) {
    const std::uint32_t done = done_.load(std::memory_order_acquire);
    if (done != theirs) done_.wait(done, std::memory_order_acquire);
  }
}

// Takes the last chunk that is left, if any, and does it.
bool TaskPool::take_back(std::uint64_t& left, int thread) noexcept {
  left = left_.load(std::memory_order_acquire);
  while (first_of(left) < end_of(left)) {
    if (!left_.compare_exchange_weak(left, left - kEndStep, std::memory_order_acquire)) continue;
    call_(task_, static_cast<int>(end_of(left)) - 1, thread);
    done_.fetch_add(1, std::memory_order_release);
    done_.notify_one();
    return true;
  }
  return false;
}

void TaskPool::work(int thread) noexcept {
  std::uint64_t left = 0;
  while (!stop_.load()) {
    if (const int active = active_.load(); thread >= active) {
      if (!stop_.load()) active_.wait(active);
      continue;
    }
    if (take_back(left, thread)) continue;
    const std::uint32_t round = round_.load();
    if (static_cast<std::uint32_t>(left >> 32) != round) continue;  // a newer loop has begun
    if (!spin_until([&] { return round_.load(std::memory_order_relaxed) != round; })) round_.wait(round);
  }
}

}  // namespace dsn::elastic

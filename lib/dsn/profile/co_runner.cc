// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/co_runner.h"

#include <cstddef>
#include <utility>

#include "dsn/profile/speed.h"

namespace dsn {
namespace {

constexpr int kRounds = 20000;                          // tens of microseconds between looks at the end
constexpr std::size_t kStream = 64U << 20;              // bytes: more than the last cache of most machines
constexpr std::size_t kPiece = std::size_t{256} << 10;  // bytes between looks at the end

std::atomic<float> sink;  // the work is not left out

}  // namespace

CoRunner::CoRunner(const CoLoad& load) {
  try {
    for (int i = 0; i < load.workers; ++i) {
      if (load.kind == CoLoad::Kind::compute) {
        workers_.emplace_back([this] { compute(); });
      } else {
        workers_.emplace_back([this, data = std::vector<float>(kStream / sizeof(float), 1.0F)]() mutable {
          stream(std::move(data));
        });
      }
    }
  } catch (...) {
    stop();
    throw;
  }
  while (working_.load() < load.workers) std::this_thread::yield();
}

CoRunner::~CoRunner() {
  stop();
}

void CoRunner::stop() noexcept {
  ending_.store(true);
  for (std::thread& worker : workers_) worker.join();
}

void CoRunner::compute() noexcept {
  working_.fetch_add(1);
  while (!ending_.load(std::memory_order_relaxed))
    sink.store(multiply_add(kRounds), std::memory_order_relaxed);
}

// Reads and writes every line, in order, again and again.
void CoRunner::stream(std::vector<float> data) noexcept {
  working_.fetch_add(1);
  constexpr std::size_t kFloats = kPiece / sizeof(float);
  for (std::size_t at = 0; !ending_.load(std::memory_order_relaxed); at = (at + kFloats) % data.size()) {
    for (std::size_t i = 0; i < kFloats; ++i) data[at + i] = data[at + i] * 0.5F + 1.0F;
  }
}

}  // namespace dsn

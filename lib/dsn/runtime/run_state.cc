// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/run_state.h"

#include <cstring>
#include <type_traits>
#include <utility>

namespace dsn {

static_assert(std::is_trivially_copyable_v<RunState>);

void RunBoard::begin(RunDescription description) {
  auto made = std::make_shared<const RunDescription>(std::move(description));
  RunState before;
  before.now_s = -1;
  publish(before);
  const std::lock_guard lock(mutex_);
  description_ = std::move(made);
}

std::shared_ptr<const RunDescription> RunBoard::description() const {
  const std::lock_guard lock(mutex_);
  return description_;
}

// Compare Boehm, "Can seqlocks get along with programming language memory models?" (MSPC 2012): the words are
// atomics, so that a torn read is no data race, and the sequence number says that it was torn.
void RunBoard::publish(const RunState& state) noexcept {
  std::array<std::uint64_t, kWords> copy{};
  std::memcpy(copy.data(), &state, sizeof state);
  const std::uint64_t sequence = sequence_.load(std::memory_order_relaxed);
  sequence_.store(sequence + 1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < kWords; ++i) words_[i].store(copy[i], std::memory_order_release);
  sequence_.store(sequence + 2, std::memory_order_release);
}

RunState RunBoard::read() const noexcept {
  std::array<std::uint64_t, kWords> copy{};
  for (;;) {
    const std::uint64_t before = sequence_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < kWords; ++i) copy[i] = words_[i].load(std::memory_order_acquire);
    if (before % 2 == 0 && sequence_.load(std::memory_order_relaxed) == before) break;
  }
  RunState state;
  std::memcpy(static_cast<void*>(&state), copy.data(), sizeof state);
  return state;
}

}  // namespace dsn

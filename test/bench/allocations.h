// SPDX-License-Identifier: Apache-2.0
// How many times, and for how many bytes, the program asks for memory. Linking allocations.cc puts counters
// before glibc's malloc, calloc, realloc, memalign and posix_memalign: operator new, LibTorch's tensors
// (posix_memalign) and oneDNN all end there. What is freed is not subtracted: it is traffic, not use.
#pragma once

#include <cstdint>

namespace dsn::bench {

struct Allocations {
  std::int64_t count = 0, bytes = 0;
};

// Since the program started, all threads.
[[nodiscard]] Allocations allocations() noexcept;

// What `work` asks for, once it has run a few times and caches are filled: the mean of `rounds` calls.
template <typename Work>
[[nodiscard]] Allocations allocations_of(const Work& work, int rounds = 8) {
  for (int i = 0; i < 3; ++i) work();
  const Allocations before = allocations();
  for (int i = 0; i < rounds; ++i) work();
  const Allocations after = allocations();
  return {(after.count - before.count) / rounds, (after.bytes - before.bytes) / rounds};
}

}  // namespace dsn::bench

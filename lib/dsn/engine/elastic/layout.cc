// SPDX-License-Identifier: Apache-2.0
#include "dsn/engine/elastic/layout.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace dsn::elastic {
namespace {

constexpr std::size_t kLine = 64, kHugePage = std::size_t{2} << 20;

std::size_t rounded(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}

}  // namespace

Floats::Floats(std::size_t count) : size_(count) {
  const std::size_t bytes = rounded(std::max<std::size_t>(count, 1) * sizeof(float), kLine);
  const bool huge = bytes >= kHugePage;
  void* memory = std::aligned_alloc(huge ? kHugePage : kLine, rounded(bytes, huge ? kHugePage : kLine));
  if (memory == nullptr) throw std::bad_alloc();
  // Advice only: without it, address translation misses more often.
  if (huge) (void)::madvise(memory, rounded(bytes, kHugePage), MADV_HUGEPAGE);
  std::memset(memory, 0, bytes);
  data_.reset(static_cast<float*>(memory));
}

void Floats::Free::operator()(float* p) const noexcept {
  std::free(p);
}

}  // namespace dsn::elastic

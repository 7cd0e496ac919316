// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/row_batch.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <vector>

namespace dsn {
namespace {

constexpr std::size_t kChunk = 64;  // rows

}  // namespace

RowBatch::RowBatch(const GeneSpace& genes, std::span<const SearchObjective> objectives, int threads)
    : genes_(genes), objectives_(objectives) {
  pool_.use(threads);
}

void RowBatch::costs(const Gene* rows, std::size_t count, double* costs) {
  const std::size_t objectives = objectives_.size();
  std::exception_ptr failure;
  std::mutex mutex;
  const std::size_t least = (count + elastic::TaskPool::kMostChunks - 1) / elastic::TaskPool::kMostChunks;
  const std::size_t size = std::max(kChunk, least);
  const auto chunks = static_cast<int>((count + size - 1) / size);
  pool_.run(chunks, [&](int chunk, int /*thread*/) {
    const std::size_t first = static_cast<std::size_t>(chunk) * size, now = std::min(size, count - first);
    try {
      std::vector<double> values(now);
      for (std::size_t o = 0; o < objectives; ++o) {
        objectives_[o].of->values(rows + first * genes_.size(), now, values.data());
        const double sign = objectives_[o].maximise ? -1 : 1;
        for (std::size_t i = 0; i < now; ++i) costs[(first + i) * objectives + o] = sign * values[i];
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// What every executor asks of its callers, and says when it does not get it.
#pragma once

#include <cstddef>
#include <optional>

#include "dsn/space/network.h"

namespace dsn {

// Which of the prepared levels is active. thread-bound.
class ActiveLevel {
 public:
  // `count` levels were prepared; none is active.
  void prepared(std::size_t count) noexcept {
    count_ = count;
    index_.reset();
  }
  // Throws Error{bad_usage} when level `index` was not prepared.
  void activate(std::size_t index);
  // Throws Error{bad_usage} when none is active.
  [[nodiscard]] std::size_t index() const;

 private:
  std::size_t count_ = 0;
  std::optional<std::size_t> index_;
};

// For infer(): throws Error{bad_usage} unless `inputs` and `logits` values are what `net` takes and gives for
// `batch` images.
void require_sizes(const Network& net, int batch, std::size_t inputs, std::size_t logits);
// For set_threads(): throws Error{bad_usage} for less than one.
void require_threads(int threads);

}  // namespace dsn

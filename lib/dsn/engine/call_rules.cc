// SPDX-License-Identifier: Apache-2.0
#include "dsn/engine/call_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "dsn/core/error.h"

namespace dsn {

void ActiveLevel::activate(std::size_t index) {
  if (index >= count_) {
    throw Error(ErrorCode::bad_usage, fmt::format("level {} was not prepared: there are {}", index, count_));
  }
  index_ = index;
}

std::size_t ActiveLevel::index() const {
  if (!index_) throw Error(ErrorCode::bad_usage, "no level is active: prepare() and activate() first");
  return *index_;
}

void require_sizes(const Network& net, int batch, std::size_t inputs, std::size_t logits) {
  const auto images = static_cast<std::size_t>(std::max(batch, 0));
  const std::size_t in = images * static_cast<std::size_t>(net.in_channels * net.resolution * net.resolution);
  const std::size_t out = images * static_cast<std::size_t>(net.classes);
  if (batch >= 1 && inputs == in && logits == out) return;
  throw Error(ErrorCode::bad_usage,
              fmt::format("inference: found {} inputs and {} logits, expected {} and {} for batch {}", inputs,
                          logits, in, out, batch));
}

void require_threads(int threads) {
  if (threads < 1) throw Error(ErrorCode::bad_usage, fmt::format("{} threads: expected at least 1", threads));
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Turns an application's phases into arrival times, one by one and by seed.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "dsn/core/random.h"
#include "dsn/replay/trace.h"

namespace dsn {

// thread-compatible. Every phase has a random stream of its own: editing one phase moves no arrival of
// another.
class ArrivalStream {
 public:
  static constexpr double kNone = std::numeric_limits<double>::infinity();

  ArrivalStream(const TraceApp& app, std::uint64_t seed);

  // The next arrival, never before the one returned last; kNone after the last.
  [[nodiscard]] double next();

 private:
  void enter(std::size_t phase);

  const TraceApp* app_;
  std::uint64_t seed_;
  std::size_t phase_ = 0;
  std::uint64_t count_ = 0;  // arrivals of this phase so far
  double now_s_ = 0;         // of the last one, for processes with independent gaps
  Rng rng_;
};

}  // namespace dsn

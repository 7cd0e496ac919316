// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/clock.h"

#include <ctime>

#include <cmath>

namespace dsn {
namespace {

class MonotonicClock final : public Clock {
 public:
  double now_s() noexcept override {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }
  void sleep_until(double time_s) noexcept override {
    const double whole = std::floor(time_s);
    timespec until{};
    until.tv_sec = static_cast<std::time_t>(whole);
    until.tv_nsec = static_cast<long>((time_s - whole) * 1e9);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  }
};

}  // namespace

Clock& monotonic_clock() noexcept {
  static MonotonicClock clock;
  return clock;
}

}  // namespace dsn

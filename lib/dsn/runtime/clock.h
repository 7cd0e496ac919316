// SPDX-License-Identifier: Apache-2.0
// Time, as the live loop sees it: the seam between the monotonic clock and a fake.
#pragma once

namespace dsn {

class Clock {
 public:
  virtual ~Clock() = default;
  // Seconds since some fixed moment; never goes back.
  [[nodiscard]] virtual double now_s() noexcept = 0;
  // Returns at `time_s` or, interrupted by a signal, before.
  virtual void sleep_until(double time_s) noexcept = 0;
  // A thread that lives by this clock comes and goes. Nothing to a real clock; a simulated one lets time pass
  // only while all of them sleep. Any thread may say so for another.
  virtual void enter() noexcept {}
  virtual void leave() noexcept {}
};

// CLOCK_MONOTONIC, which std::chrono::steady_clock reads too; sleeps by absolute time, so that errors do not
// add up. thread-safe.
[[nodiscard]] Clock& monotonic_clock() noexcept;

}  // namespace dsn

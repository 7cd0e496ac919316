// SPDX-License-Identifier: Apache-2.0
// How fast the machine computes at a moment: a fixed piece of work, timed beside each entry. Inner header of
// profile.
//
// Virtual machines do not say their frequency, and it is not all: a thread on the same core's other half, or
// a neighbour of the virtual machine there, leaves the clock as it is and takes a part of the core. The work
// therefore fills the vector units rather than waiting for one result after the other.
#pragma once

#include <functional>
#include <vector>

#include "dsn/profile/lut.h"
#include "dsn/profile/measure.h"

namespace dsn {

// Vector multiply-adds in registers that do not wait for each other: as many as a core can do at once.
// rounds: 12 of them each. Returns a value that depends on all.
float multiply_add(int rounds) noexcept;

// A run takes about 50 us, found out when it is made. thread-compatible.
class SpeedProbe {
 public:
  SpeedProbe();
  // Vector multiply-adds per second: the median of three runs.
  [[nodiscard]] double operator()() const;

 private:
  int rounds_ = 1;
};

// The speeds of one operating point.
class SpeedLog {
 public:
  // own_per_s: what is known of the machine's own speed at this point from before; 0: nothing.
  explicit SpeedLog(double own_per_s) : own_(own_per_s) {}
  // Of a look right after work; while a slow machine is waited for, looks say nothing of what is usual.
  void add(double per_s);
  // The machine's own speed, reached whenever nothing holds it up: the highest that the 90th percentile has
  // been, or what was known if that is more. 0 as long as too few are known: then none is slow.
  [[nodiscard]] double own() const noexcept { return own_; }
  [[nodiscard]] bool is_slow(double per_s, double tolerance) const noexcept {
    return per_s > 0 && per_s < own_ * (1 - tolerance);
  }
  // Precondition: not empty.
  [[nodiscard]] Lut::Speed summary(double tolerance) const;
  [[nodiscard]] bool empty() const noexcept { return speeds_.empty(); }

 private:
  std::vector<double> speeds_;
  double own_ = 0;
  std::size_t judged_ = 0;  // speeds that own_ was made from
};

}  // namespace dsn

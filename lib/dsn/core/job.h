// SPDX-License-Identifier: Apache-2.0
// How long work talks to whoever started it: progress, warnings, log lines, and a wish to stop. lib/ never
// prints; tools/dsn/cli implements this with a progress bar and signals.
#pragma once

#include <string>
#include <string_view>

#include "dsn/core/error.h"

namespace dsn {

// thread-compatible, but stop_requested() and check_stop(), which are thread-safe. The base class is silent
// and never stops.
class Job {
 public:
  virtual ~Job() = default;
  // Starts a phase of `total` steps; ends the phase before. note: short state shown beside the bar
  // ("loss 0.31").
  virtual void begin(std::string_view /*phase*/, double /*total*/) {}
  virtual void advance(double /*done*/, std::string_view /*note*/ = {}) {}
  virtual void end() {}
  virtual void info(std::string_view /*line*/) {}
  virtual void warn(std::string_view /*line*/) {}
  [[nodiscard]] virtual bool stop_requested() const noexcept { return false; }

  // Throws Error{interrupted} when a stop was asked for; call where state is consistent.
  void check_stop() const {
    if (stop_requested()) throw Error(ErrorCode::interrupted, "interrupted");
  }
};

// A Job that says nothing and never stops.
[[nodiscard]] Job& silent_job() noexcept;

}  // namespace dsn

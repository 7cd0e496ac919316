// SPDX-License-Identifier: Apache-2.0
// dsn::Job on a console: a bar with phase, time left and a short state on a terminal; one line per phase when
// piped. All on stderr.
#pragma once

#include <chrono>
#include <string>

#include "dsn/core/job.h"

namespace dsn::cli {

// "12 s", "3 min 05 s", "1 h 02 min".
[[nodiscard]] std::string format_remaining(double seconds);

class ConsoleJob : public Job {
 public:
  // command: what lines begin with ("dsn run"). quiet: only warnings.
  ConsoleJob(std::string command, bool quiet);
  ~ConsoleJob() override;
  ConsoleJob(const ConsoleJob&) = delete;
  ConsoleJob& operator=(const ConsoleJob&) = delete;

  void begin(std::string_view phase, double total) override;
  void advance(double done, std::string_view note) override;
  void end() override;
  void info(std::string_view line) override;
  void warn(std::string_view line) override;
  [[nodiscard]] bool stop_requested() const noexcept override;

 private:
  using Clock = std::chrono::steady_clock;
  void draw(Clock::time_point now);
  void wipe();
  void line(const std::string& text);

  std::string command_, phase_, note_;
  bool quiet_, bar_, drawn_ = false, in_phase_ = false, advanced_ = false;
  double total_ = 0, done_ = 0, first_ = 0;
  Clock::time_point started_{}, drawn_at_{};
};

}  // namespace dsn::cli

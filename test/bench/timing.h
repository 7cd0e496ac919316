// SPDX-License-Identifier: Apache-2.0
// What the engine's timing programs share: options, repeated calls, one JSON line of figures.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/core/stats.h"

namespace dsn::bench {

using Clock = std::chrono::steady_clock;

inline double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// --threads N --runs N --warmup N --engine NAME, flags without a value, and files.
struct Options {
  std::string engine = "elastic";
  int threads = 1, runs = 50, warmup = 10;
  std::vector<std::string> flags, files;

  Options(int argc, char** argv, const std::vector<std::string>& known_flags) {
    for (int i = 1; i < argc; ++i) {
      const std::string arg = argv[i];
      if (std::ranges::count(known_flags, arg) > 0) {
        flags.push_back(arg);
      } else if (arg.starts_with("--") && i + 1 < argc) {
        const std::string value = argv[++i];
        if (arg == "--engine") engine = value;
        if (arg == "--threads") threads = std::stoi(value);
        if (arg == "--runs") runs = std::stoi(value);
        if (arg == "--warmup") warmup = std::stoi(value);
      } else {
        files.push_back(arg);
      }
    }
  }
  [[nodiscard]] bool has(const std::string& flag) const { return std::ranges::count(flags, flag) > 0; }
};

// Milliseconds of each of `runs` calls, after `warmup` others.
template <typename Call>
std::vector<double> timed(int warmup, int runs, const Call& call) {
  for (int n = 0; n < warmup; ++n) call();
  std::vector<double> ms;
  for (int n = 0; n < runs; ++n) {
    const auto start = Clock::now();
    call();
    ms.push_back(ms_since(start));
  }
  return ms;
}

inline Json figures(const std::vector<double>& ms) {
  return {{"median_ms", median(ms)},
          {"mad_ms", mad(ms)},
          {"min_ms", *std::ranges::min_element(ms)},
          {"p99_ms", quantile(ms, 0.99)}};
}

// Resident bytes of this process.
inline double resident_bytes() {
  double pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace dsn::bench

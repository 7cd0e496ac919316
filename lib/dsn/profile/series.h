// SPDX-License-Identifier: Apache-2.0
// Samples of one LUT entry while it is being measured, visit by visit. Inner header of profile.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "dsn/profile/measure.h"

namespace dsn {

// Frequencies read beside an entry; 0 (unreadable) is left out.
struct FrequencySpan {
  double lowest_hz = 0, highest_hz = 0;
  void add(double freq_hz) noexcept;
  void add(const FrequencySpan& other) noexcept;
  // Whether all readings are within `tolerance` of `expected_hz` (0: of each other).
  [[nodiscard]] bool holds(double expected_hz, double tolerance) const noexcept;
  // "frequency read 1.20 GHz to 1.50 GHz"; empty when it holds.
  [[nodiscard]] std::string note(double expected_hz, double tolerance) const;
};

// The machine around one visit.
struct Surroundings {
  double per_s = 0;  // the lower of the speeds before and after; 0: not looked at
  FrequencySpan frequency;
  std::optional<double> temp_c;
};

// What makes a visit count.
struct Standard {
  double own_per_s = 0;  // of the machine at this point; 0: its speed is not looked at
  double freq_hz = 0;    // of the point; 0: any
};

class Series {
 public:
  bool finished = false;

  void add(double seconds) { samples_.push_back(seconds); }
  [[nodiscard]] double shortest() const noexcept;  // 0 without samples
  // Ends a visit: the samples since the last one are of these surroundings. Without samples nothing.
  void close(const Surroundings& around);
  // Decides whether the entry has ended: once what counts suffices, or enough was spent on repeating.
  void judge(const ProfileOptions& options, const Standard& standard);
  // Since the last judge() enough came to judge again: that looks at all samples, so not after each of many
  // visits.
  [[nodiscard]] bool due() const noexcept { return visits_.size() >= judge_at_; }
  // Precondition: closed after the last add(), not empty. with_mean: also mean_s, of all samples.
  [[nodiscard]] LutEntry entry(const ProfileOptions& options, const Standard& standard,
                               bool with_mean = false) const;
  // Part of the way to the end, 0 to 1.
  [[nodiscard]] double progress(const ProfileOptions& options) const;
  // Whether samples that do not count are part of the entry, there being too few others.
  [[nodiscard]] bool is_disturbed(const ProfileOptions& options, const Standard& standard) const;
  [[nodiscard]] bool is_settled(const ProfileOptions& options, const Standard& standard) const;

 private:
  struct Visit {
    std::size_t first = 0, count = 0;
    Surroundings around;
  };
  struct Kept {
    std::vector<double> samples;
    double total_s = 0, useful_s = 0;  // as they were; as so many usual ones
    bool disturbed = false;
    std::vector<double> speeds;  // one per visit
    FrequencySpan frequency;
    std::optional<double> temp_c;
  };
  [[nodiscard]] bool counts(const Visit& visit, const ProfileOptions& options,
                            const Standard& standard) const;
  // What counts; where that is less than asked for, the next best visits, too.
  [[nodiscard]] Kept keep(const ProfileOptions& options, const Standard& standard) const;
  void take(const Visit& visit, Kept& kept) const;

  std::vector<double> samples_;
  std::vector<Visit> visits_;
  double total_s_ = 0;
  double useful_ = 0;         // part of the way at the last judge()
  std::size_t judge_at_ = 1;  // visits
};

// Relative standard error of the p50, from the order statistics around it.
[[nodiscard]] double rel_error(std::span<const double> samples);

}  // namespace dsn

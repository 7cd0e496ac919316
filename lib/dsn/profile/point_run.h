// SPDX-License-Identifier: Apache-2.0
// Everything about one operating point while it is measured. Inner header of profile.
#pragma once

#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dsn/profile/measure.h"
#include "dsn/profile/series.h"
#include "dsn/profile/speed.h"

namespace dsn {

// A sub-network that is measured end to end.
struct PlannedLevel {
  LevelSpec spec;
  bool held_out = false;
};

// What all points of a run share; outlives them.
struct ProfileRun {
  Executor& executor;
  const SearchSpace& space;
  FrequencyControl* control;
  const ProfileOptions& options;
  std::span<const float> input;
  Lut& lut;
  const SaveLut& save;
  Job& job;
  double patience_s;          // left
  int points = 1, point = 0;  // loads beside which a point is measured again count as points
  double started_s = 0;
};

class PointRun {
 public:
  // load: other work that goes on meanwhile, or null. Then levels are measured and nothing else, and the
  // machine's speed is not looked at: the load is what slows it.
  PointRun(ProfileRun& run, const OperatingPoint& point, const CoLoad* load);

  // Plans what is missing; nothing to do when it returns false.
  bool plan(const std::vector<PlannedLevel>& levels);
  void measure();
  // Sums of units against end-to-end rows; keeps the correction.
  PointReport conclude();

 private:
  // A prepared sub-network: a probe (per unit) or a level (end to end).
  struct Entry {
    SubnetConfig config;
    bool probe = false, visited = false;
    Series series;
  };

  void round(std::vector<std::size_t>& order);
  void tell_progress();
  void visit(std::size_t index);
  void infer(Entry& entry);
  [[nodiscard]] double speed();
  // Until the machine has its own speed, or patience ends.
  void await_own_speed();
  [[nodiscard]] Standard standard() const noexcept;
  void judge_all();
  [[nodiscard]] std::vector<std::size_t> unfinished() const;
  // Puts what is finished into the LUT. A unit is finished with a probe that has it, and takes its samples
  // from all of them.
  void commit();
  LutLevel& level_row(const SubnetConfig& config);

  ProfileRun& run_;
  const ProfileOptions& options_;
  const OperatingPoint& point_;
  const CoLoad* load_;
  SpeedLog speeds_;
  double now_per_s_ = 0, waited_s_ = 0;
  PointReport report_;
  std::set<std::string> missing_;
  std::vector<LevelSpec> specs_;
  std::vector<Entry> entries_;
  std::map<std::string, Series> units_;
};

}  // namespace dsn

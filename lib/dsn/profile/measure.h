// SPDX-License-Identifier: Apache-2.0
// Measuring a search space on this machine into a LUT: units inside running networks, and whole sub-networks
// end to end.
//
// Units are timed with an Executor's observer in probe sub-networks that together have every unit of the
// space, so that each is measured with the caches its neighbours leave behind. Probes and whole sub-networks
// are visited in random order, round after round, until each entry has enough samples: slow drifts of the
// machine then fall on all entries alike.
//
// Before and after each visit a fixed piece of work says how fast the machine is. What was measured while it
// was slower than its own speed, or while its frequency was not the point's, is set aside and measured again,
// up to a bound; what is kept for want of better is marked.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/engine/executor.h"
#include "dsn/platform/dvfs.h"
#include "dsn/platform/meter.h"
#include "dsn/profile/lut.h"

namespace dsn {

struct ProfileOptions {
  std::size_t cluster = 0;  // index in the platform of the cluster that the executor's threads run on
  std::vector<int> threads = {1};
  std::vector<std::size_t>
      opps;  // indices in the cluster; empty: all where they can be set, else the highest, unset
  bool move_frequencies = true;  // false: FrequencyControl is only read
  int batch = 1;
  bool units =
      true;  // also measure units; extremes and random sub-networks are added end to end to check their sums
  std::size_t min_probes = 0;  // at least this many probe sub-networks
  int random_levels = 8;       // how many random sub-networks are added, for the fit
  int held_out = 0;            // and how many more that the fit does not see
  int warmup = 3;              // discarded inferences at an entry's first visit; one at each later one
  int runs_per_visit = 5;      // fewer where the speed is looked at and they would last long
  // An entry ends at `min_runs` and `min_time_s` both, once its p50 is known to `rel_error` (relative
  // standard error of a median, from the order statistics around it) or, marked "not settled", at
  // `max_time_s`.
  int min_runs = 20;
  double min_time_s = 0.1;
  double rel_error = 0.02;
  double max_time_s = 1.0;
  double freq_tolerance =
      0.02;  // an entry is marked when a frequency read beside it is further off than this
  // The machine's speed beside each visit, in vector multiply-adds per second. Empty: measured, where `clock`
  // is empty, too; else not looked at.
  std::function<double()> speed;
  bool watch_speed = true;        // false: never looked at
  double speed_tolerance = 0.08;  // slower than its own speed by more than this does not count
  int repeats = 3;        // an entry disturbed throughout ends after so many minimum times more
  double patience_s = 2;  // how long, in all, to wait for the machine to have its own speed
  std::map<OperatingPoint, double> own_speeds;         // known from before (another LUT's `speeds`)
  std::function<std::optional<double>()> temperature;  // degrees Celsius, read beside each visit
  std::function<void(double)> sleep;                   // seconds; empty: this thread's
  // Other work beside which `levels` (without any: the smallest and the largest) are measured, too.
  std::vector<CoLoad> loads;
  double save_every_s =
      10;  // finished entries are saved at least this often, besides at the end of each point
  // Of whole sub-networks. Without a meter it is modelled where the platform knows its power.
  EnergyMeter* meter = nullptr;
  int energy_windows = 3;         // per level, each as long as the meter needs
  std::uint64_t seed = 1;         // input, probes, random sub-networks and order
  std::function<double()> clock;  // seconds; empty: steady_clock. Tests put their own in
};

// One sub-network's sum of units against its end-to-end measurement.
struct LevelCheck {
  SubnetConfig config;
  bool held_out = false;  // in no fit
  double unit_sum_s = 0;
  double predicted_s = 0;  // corrected by a fit to all other sub-networks
  double measured_s = 0;
  [[nodiscard]] double relative_error() const noexcept { return predicted_s / measured_s - 1; }
};

struct PointReport {
  OperatingPoint point;
  int probes = 0, measured = 0, reused = 0,
      unsettled = 0;  // entries: measured now, found in the LUT, ended by max_time_s
  double seconds = 0;
  std::vector<LevelCheck> checks;     // in the LUT's order; empty when the LUT has no units at this point
  double kendall_tau = 0;             // of predicted_s against measured_s, of those not held out
  int disturbed = 0;                  // entries with samples of a slower machine, or of another frequency
  int set_aside = 0;                  // samples that were measured again
  std::optional<EnergyReading> idle;  // without inferences, at this point's frequency
  int energies = 0;                   // levels whose energy was measured now
  std::string energy_problem;         // why there are not more; empty when nothing went wrong
};

// An empty LUT of this space on this device, to be filled by profile_network(). engine: the executor's
// name(); device: for people.
[[nodiscard]] Lut start_lut(const SearchSpace& space, const Platform& platform, std::string engine,
                            std::string device);

// Called with the LUT whenever what is in it is worth keeping.
using SaveLut = std::function<void(const Lut&)>;

// Measures `levels` (with units: extremes and random sub-networks too) at every operating point into `lut`,
// leaving out what it already holds: a LUT saved by an interrupted run is resumed by passing it in. `levels`
// need no order; statistics in them are used. `control` may be null. Frequencies are restored on every way
// out. Fits lut.corrections where units are known. Throws Error{mismatch} when `lut` is of another space,
// platform or engine, Error{unsupported} when `opps` are asked for and cannot be set, Error{bad_usage} for
// options out of range, Error{interrupted} after saving what is finished.
std::vector<PointReport> profile_network(Executor& executor, const SearchSpace& space,
                                         const Platform& platform, FrequencyControl* control,
                                         const std::vector<LevelSpec>& levels, const ProfileOptions& options,
                                         Lut& lut, const SaveLut& save, Job& job);

}  // namespace dsn

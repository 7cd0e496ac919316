// SPDX-License-Identifier: Apache-2.0
// What a whole run drew, for its summary: measured where the machine has a meter, else modelled from the
// platform's powers, else nothing with a reason.
//
//     RunEnergyMeter energy(platform);          // before the first frame
//     ...                                       // the run
//     const RunEnergy drawn = energy.stop({{cluster, opp, threads, busy_s}});
//     // drawn.origin, drawn.source and drawn.reason belong beside drawn.energy_j wherever it is shown.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "dsn/platform/meter.h"
#include "dsn/platform/platform.h"

namespace dsn {

// How a cluster was used over a part of a run: for a model; a meter needs none of it. The whole run is the
// sum of a cluster's parts; where they say less time than the run took, the rest is idle at the last one's
// OPP.
struct ClusterUse {
  std::size_t cluster = 0;  // index in the platform
  std::size_t opp = 0;      // index in the cluster
  int threads = 1;          // of the executor
  double busy_s = 0;        // time in inferences
  double seconds = 0;       // time at this OPP, inferences included; 0: the busy time alone
};

struct RunEnergy {
  std::optional<double>
      energy_j;        // of everything that `source` covers, other programs and idle time included
  double seconds = 0;  // that it is of
  Origin origin = Origin::measured;
  std::string source;       // "CPU package-0: energy counter", "modelled: power model of xu4 (5 V input)"
  std::string reason;       // why there is none, or why it is modelled although there is a meter
  int samples = 0;          // of a meter
  double resolution_j = 0;  // of a meter: what one step, or one period unseen, amounts to
  [[nodiscard]] double power_w() const noexcept { return energy_j && seconds > 0 ? *energy_j / seconds : 0; }
};
// {"energy_j", "energy_origin", "energy_source", "energy_seconds", "mean_power_w", ...}; an absent energy is
// null with "energy_j_reason".
[[nodiscard]] Json to_json(const RunEnergy& energy);

// thread-bound. A meter samples on a thread of its own; nothing here allocates or blocks between start and
// stop().
class RunEnergyMeter {
 public:
  // Starts at once. meter: "auto" (the first that can be used, slow ones too: runs are long), "off" (model
  // only), or an id of find_meters(). A meter that cannot be read now is no error but stop()'s reason; an id
  // that is not there throws Error{not_found}. `platform` must outlive it.
  explicit RunEnergyMeter(const Platform& platform, const std::string& meter = "auto",
                          const fs::path& root = {});

  // Ends it. `use` is for the model; every cluster that it does not name is idle at its lowest OPP. A meter
  // that failed on the way gives way to the model. Never throws for a sensor.
  [[nodiscard]] RunEnergy stop(std::span<const ClusterUse> use);

 private:
  const Platform& platform_;
  std::unique_ptr<EnergyMeter> meter_;
  std::string reason_;
  std::chrono::steady_clock::time_point started_;
};

// The model by itself: base power for all of `seconds`, per cluster idle power at its OPP, and for the busy
// time as much more as `threads` of its cores draw. Nothing when the platform has no powers.
[[nodiscard]] std::optional<double> modelled_energy(const Platform& platform, std::span<const ClusterUse> use,
                                                    double seconds);

}  // namespace dsn

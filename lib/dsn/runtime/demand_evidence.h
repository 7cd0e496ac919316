// SPDX-License-Identifier: Apache-2.0
// What has lately been kept and missed at how much work: the memory of an application manager.
//
// Why, beside the slowdown: a fair scheduler does not slow every level by the same factor. Work that fits
// into the share of the CPU that others leave runs as if alone; a little more than that is pre-empted for
// whole scheduler ticks. A manager that only knows one ratio climbs (the small level runs at 1.0x), misses,
// falls, and climbs again for ever. What decides is the demand: the undisturbed latency at a placement,
// whichever level and OPP it comes from, and it is monotone: what fails at some demand fails at more. So
// evidence is kept in bands of demand, and a ceiling follows from it, per placement.
//
// No allocation; every member is noexcept. thread-compatible.
#pragma once

#include <array>
#include <cstddef>

#include "dsn/runtime/policy.h"

namespace dsn {

struct EvidenceOptions {
  double half_life_s = 8;    // of what is remembered: load changes within seconds
  double backoff_s = 0.5;    // after the first failed climb; doubled by each further one
  double max_backoff_s = 4;  // so that a machine whose load has gone is noticed
  double load_relief = 0.3;  // cores: others' load fallen by this much since a failure makes it void
};

class DemandEvidence {
 public:
  explicit DemandEvidence(const EvidenceOptions& options = {}) noexcept : options_(options) {}

  // Forgets everything; bands are counted from `smallest_s`, the least demand there is.
  void reset(double smallest_s) noexcept;

  // `demand_s` kept its deadline, or missed it, at `now_s`; p: the share that shall be kept.
  // others_load: ClusterView's.
  void kept(int placement, double demand_s, double now_s, double p) noexcept;
  void missed(int placement, double demand_s, double now_s, double others_load) noexcept;
  // A step up to `demand_s` was followed by a miss: not again before a back-off.
  void climb_failed(int placement, double demand_s, double now_s) noexcept;
  // The last miss at `demand_s` had another reason.
  void withdraw(int placement, double demand_s, double now_s) noexcept;
  // It held: the next failure backs off less.
  void climb_held(int placement, double demand_s, double now_s) noexcept;

  // The load that the failures were made under has gone: none is held against any demand.
  void forgive() noexcept;

  // Demands from this on are not to be tried now; infinity when there is no such. Ends blocks whose load has
  // gone.
  [[nodiscard]] double ceiling(int placement, double now_s, double p, double others_load) noexcept;

 private:
  // 6 % per band: finer than levels are apart, and 80 of them reach over a hundredfold.
  static constexpr std::size_t kBands = 80;
  static constexpr double kBandRatio = 1.06;
  struct Band {
    double updated_s = 0;
    double kept = 0, missed = 0;  // faded counts
    double least_failed_s = 0;    // smallest demand of this band that missed; 0: none
    double blocked_until_s = -1;
    double load_then = -1;  // others' load at the last miss
    int failures = 0;       // failed climbs, less those that held
  };
  [[nodiscard]] Band& band(int placement, double demand_s, double now_s) noexcept;
  void fade(Band& band, double now_s) const noexcept;

  EvidenceOptions options_;
  double smallest_s_ = 1;
  std::array<std::array<Band, kBands>, kMaxPlacements> bands_{};
  std::array<std::size_t, kMaxPlacements>
      highest_{};  // one past the highest band in use, so that a scan is short
};

}  // namespace dsn

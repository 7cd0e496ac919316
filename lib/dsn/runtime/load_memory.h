// SPDX-License-Identifier: Apache-2.0
// What an application manager remembers of a machine on which other work comes and goes: evidence and the
// setting that held, once for a quiet machine and once for a loaded one, so that a step of the load is
// answered with what held before, in one change, instead of with a new search.
//
// A monitor sees load later than latencies do: misses of the last moments before a change of load are the new
// load's, and taken from the old one's evidence.
//
// No allocation; every member is noexcept. thread-compatible.
#pragma once

#include <array>
#include <cstddef>

#include "dsn/runtime/demand_evidence.h"

namespace dsn {

class LoadMemory {
 public:
  static constexpr double kLoaded = 0.5;    // cores that others keep busy: a fair share may be half a core
  static constexpr double kLag = 0.6;       // seconds, of a monitor and of who acts on it
  static constexpr double kRemember = 120;  // seconds
  static constexpr int kHeld = 20;          // deadlines kept in a row

  explicit LoadMemory(const EvidenceOptions& options = {}) noexcept;

  void reset(double smallest_s) noexcept;
  // others_load: ClusterView's, of the cluster that runs the application. 1: load has come, -1: it has gone,
  // 0: neither.
  int enter(double others_load, double now_s) noexcept;
  // Misses of the last moments had a reason that is over: they say nothing.
  void withdraw_recent(double now_s) noexcept;

  [[nodiscard]] DemandEvidence& evidence() noexcept { return evidence_[loaded_]; }
  void missed(int placement, double demand_s, double now_s, double others_load) noexcept;
  // `steady`: under the present setting.
  void kept(int placement, double demand_s, double now_s, double p, bool steady) noexcept;
  // Of the present load at a placement: the demand that last held; 0 when none is remembered.
  [[nodiscard]] double held_s(int placement, double now_s) const noexcept;
  // It does not hold any more.
  void forget_held() noexcept { held_[loaded_].demand_s = 0; }

 private:
  struct Miss {
    int placement = 0;
    double demand_s = 0, at_s = -1e9;
  };
  struct Held {
    int placement = 0;
    double demand_s = 0, at_s = -1e9;
  };
  std::array<DemandEvidence, 2> evidence_;  // quiet, loaded
  std::array<Held, 2> held_{};
  std::array<Miss, 4> recent_{};
  std::size_t next_ = 0, loaded_ = 0;
  int in_a_row_ = 0;
  double row_demand_s_ = 0;
};

}  // namespace dsn

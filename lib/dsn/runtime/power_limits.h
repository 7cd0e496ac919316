// SPDX-License-Identifier: Apache-2.0
// Caps on temperature and power, as the platform manager keeps them: from readings to OPPs and watts that may
// be used.
//
// Temperature: while a cluster is above its cap its highest OPP goes down by one step each kStep, by more the
// further it is above; kCool below the cap it comes back step by step. No model of the board is needed, and
// without a reading the cap is not kept. Power: the platform's model predicts; where the machine is measured
// too, what the model lacks is learned and taken off the cap.
//
// No allocation; every member is noexcept. thread-compatible.
#pragma once

#include <array>

#include "dsn/runtime/policy.h"

namespace dsn {

class PowerLimits {
 public:
  static constexpr double kStep = 0.5;   // seconds: boards heat up over several
  static constexpr double kCool = 3;     // degrees
  static constexpr double kDegrees = 4;  // above the cap, each so many lower it by a further step

  // Highest OPP that `cluster` may have now.
  [[nodiscard]] int highest_opp(std::size_t cluster, const ClusterView& view, double now_s) noexcept;
  // Watts that the model may spend under the view's cap; infinity where there is none.
  [[nodiscard]] double allowed_w(const SystemView& view) noexcept;
  // What the model says of the choice that runs from now on; `changed`: it is another one than before.
  void chosen(double modelled_w, bool changed, double now_s) noexcept;

 private:
  static constexpr int kNone = 1 << 20;
  struct Heat {
    int highest = kNone;
    double changed_s = -1e9;
  };
  std::array<Heat, kMaxClusters> heat_{};
  double modelled_w_ = 0, since_s_ = 0, learned_s_ = -1e9;
  double unmodelled_w_ = 0;
};

}  // namespace dsn

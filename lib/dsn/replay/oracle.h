// SPDX-License-Identifier: Apache-2.0
// The oracle: a clairvoyant lower bound on the energy of a workload. It is no policy that runs, but a sum
// that no policy in this simulator can be below.
//
// Why it is a bound. A simulated platform spends base power, every cluster's idle power at the OPP that it
// has, and what runs spends above idle. The bound keeps every such term and gives each its best case, chosen
// alone with the future known:
//  - base power, as it is;
//  - every cluster idles at its cheapest OPP all the time, but where an inference needs another: it is then
//  charged the
//    difference over its time, in proportion to the cores that it takes (these shares never add up to more
//    than all cores, so nothing is charged twice);
//  - each inference takes the cheapest (level, placement, mixture of OPPs) that is accurate enough and meets
//  its target when
//    it starts at its arrival and has the cluster for itself. Mixing OPPs within the inference (the lower
//    convex hull of time and energy) covers every policy that changes the clock under way. Its draw of noise
//    is known, and the smallest noise of any OPP is taken;
//  - contenders do as little, at the cheapest OPP, as the simulator lets any policy force upon them.
// Left out, each of which can only add: other work on the cluster, queueing, OPP transitions, caps, heat, and
// inferences that fail their target or accuracy.
#pragma once

#include <cstdint>

#include <vector>

#include "dsn/replay/simulator.h"

namespace dsn {

// Least energy for what a policy served: the completed inferences that met target and accuracy floor.
struct ServiceBound {
  double required_j = 0;   // each at the accuracy that was asked for
  double delivered_j = 0;  // each at least as accurate as the policy made it
};

// thread-compatible. Refers to the workload.
class Oracle {
 public:
  explicit Oracle(const Workload& workload);

  // What every policy spends, whatever it serves: base, idle clusters, contenders.
  [[nodiscard]] double standing_j() const noexcept { return standing_j_; }
  // The part of standing_j() that is contenders' above idle.
  [[nodiscard]] double contenders_j() const noexcept { return contenders_j_; }

  // Cheapest way to serve one inference alone, above standing_j().
  struct Choice {
    bool feasible = false;
    int level = 0, placement = 0, opp = 0;  // of a mixture: the OPP of its larger part
    double energy_j = 0, latency_s = 0;
  };
  [[nodiscard]] Choice serve(std::size_t app, double target_s, double min_accuracy,
                             const LatencyDraw& draw) const;

  // Adds one record of SimOptions::on_inference; nothing for one that did not meet target and floor.
  void add(const InferenceRecord& record, ServiceBound& bound) const;

  // The bound for every arrival that can be served, shaped like a policy's result: what cannot be is counted
  // as missed and costs nothing.
  [[nodiscard]] SimResult result(std::uint64_t seed) const;

 private:
  struct Vertex {
    double time = 0, energy = 0;
    int opp = 0;
  };
  struct Hull {  // of one level at one placement, over OPPs, without noise
    int level = 0, placement = 0;
    double least_spread = 0, most_spread = 0;
    std::vector<Vertex> vertices;
  };
  void add_contender(const TraceContender& contender);
  void add_hull(std::size_t app, int level, int placement);

  const Workload* workload_;
  std::vector<std::vector<Hull>> hulls_;  // per application
  double standing_j_ = 0, contenders_j_ = 0;
};

}  // namespace dsn

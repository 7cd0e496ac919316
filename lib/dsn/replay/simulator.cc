// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/simulator.h"

#include "dsn/replay/simulation.h"

namespace dsn {

double SimResult::total_j() const noexcept {
  double sum = base_j;
  for (const ClusterStats& cluster : clusters) sum += cluster.idle_j + cluster.active_j;
  return sum;
}

SimResult simulate(const Workload& workload, Policy& policy, const SimOptions& options, const Job& job) {
  check_workload(workload);
  for (const CostTable& costs : workload.costs) policy.check(costs);
  return Simulation(workload, policy, options).run(job);
}

}  // namespace dsn

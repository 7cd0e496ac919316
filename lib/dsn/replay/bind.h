// SPDX-License-Identifier: Apache-2.0
// What a trace's names mean on a platform. Internal to replay.
#pragma once

#include <utility>
#include <vector>

#include "dsn/replay/simulator.h"

namespace dsn {

// Index of a cluster that a trace names. Throws Error{bad_input} with the trace's pointer, naming those there
// are.
[[nodiscard]] std::size_t bind_cluster(const Trace& trace, const ClusterRef& ref, const Platform& platform);

// Highest OPP at or below a cap (the lowest if none is, as the kernel clamps into its table); the highest
// without a cap.
[[nodiscard]] int capped_opp(const Cluster& cluster, const std::optional<double>& max_freq_hz) noexcept;

// A power mode of the platform. Throws Error{bad_input} with the event's pointer, naming those there are.
[[nodiscard]] const PowerMode& bind_mode(const Trace& trace, const TraceEvent& event,
                                         const Platform& platform);

// Clusters whose number of online CPUs an event sets, with that number. A power mode's CPUs are the first
// ones.
[[nodiscard]] std::vector<std::pair<std::size_t, int>> online_after(const TraceEvent& event,
                                                                    const Workload& workload);

}  // namespace dsn

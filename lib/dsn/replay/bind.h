// SPDX-License-Identifier: Apache-2.0
// What a trace's names mean on a platform. Internal to replay.
#pragma once

#include "dsn/replay/simulator.h"

namespace dsn {

// Index of a cluster that a trace names. Throws Error{bad_input} with the trace's pointer, naming those there
// are.
[[nodiscard]] std::size_t bind_cluster(const Trace& trace, const ClusterRef& ref, const Platform& platform);

// Highest OPP at or below a cap (the lowest if none is, as the kernel clamps into its table); the highest
// without a cap.
[[nodiscard]] int capped_opp(const Cluster& cluster, const std::optional<double>& max_freq_hz) noexcept;

}  // namespace dsn

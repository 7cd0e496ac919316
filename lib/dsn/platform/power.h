// SPDX-License-Identifier: Apache-2.0
// What a platform's power model says of running inferences.
#pragma once

#include <optional>
#include <string_view>

#include "dsn/platform/platform.h"

namespace dsn {

// Watts while `threads` cores of a cluster (or the whole GPU) are busy at `freq_hz`: base, the cluster idle,
// and as much more as these draw. Modelled. Nothing where the platform does not know its powers there.
[[nodiscard]] std::optional<double> modelled_power_w(const Platform& platform, std::string_view cluster,
                                                     double freq_hz, int threads);

}  // namespace dsn

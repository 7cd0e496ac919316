// SPDX-License-Identifier: Apache-2.0
// A trace with all that it names: platform, families and look-up tables, ready to simulate.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/profile/lut.h"
#include "dsn/replay/simulator.h"
#include "dsn/search/family.h"

namespace dsn {

// An application's levels and their costs.
struct AppModel {
  Family family;
  Lut lut;
  std::vector<InputHash> inputs;
};

// Opens a bundle with its costs on the platform with this hash (empty: any): given by the caller, because
// bundles are the format of a module below this one.
using BundleReader = std::function<AppModel(const fs::path& bundle, const std::string& platform_sha256)>;

struct LoadedWorkload {
  Workload workload;
  std::vector<InputHash> inputs;      // trace, platform, families and LUTs
  std::vector<std::string> warnings;  // go into the report
};

// Reads a trace with all that it names. `platform` overrides the trace's; with neither, the platform in the
// first LUT is used. Throws Error{bad_input | not_found | mismatch | unsupported}: a LUT of another platform
// is refused, naming both.
[[nodiscard]] LoadedWorkload load_workload(const fs::path& trace, const fs::path& platform = {},
                                           const BundleReader& read_bundle = {});

// The same from parts in memory: one model per application of the trace. A cluster whose cost is known at one
// frequency only is held there (its other OPPs are removed from the workload's platform), with a warning:
// nothing tells how fast or how hungry it is at the others. Throws Error{bad_input | not_found | mismatch}.
[[nodiscard]] LoadedWorkload bind_workload(Trace trace, Platform platform, std::vector<AppModel> models);

}  // namespace dsn

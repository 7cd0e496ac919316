// SPDX-License-Identifier: Apache-2.0
// dsn import lut: published latency tables as a look-up table.
#pragma once

#include <string>

#include "cli/session.h"

namespace dsn::cli {

struct ImportLutFlags {
  std::string tables, space, platform, cluster, out;
  double width_mult = 0;  // 0: the one of the published super-networks whose rows the tables have
  int classes = 0;        // 0: the space's own
};

int import_lut(const ImportLutFlags& flags, const Session& session);

}  // namespace dsn::cli

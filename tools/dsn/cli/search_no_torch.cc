// SPDX-License-Identifier: Apache-2.0
#include "cli/search_modes.h"
#include "dsn/core/error.h"

namespace dsn::cli {

int run_evaluated_search(SearchFlags& /*flags*/, const Session& /*session*/) {
  throw Error(
      ErrorCode::unsupported, "this build has no LibTorch, which search needs to evaluate a super-network",
      "install libtorch-dev and build with meson setup build -Dtorch=enabled; --predictor works without");
}

}  // namespace dsn::cli

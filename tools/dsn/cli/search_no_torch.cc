// SPDX-License-Identifier: Apache-2.0
#include "cli/search_modes.h"
#include "dsn/core/error.h"

namespace dsn::cli {
namespace {

[[noreturn]] void refuse() {
  throw Error(
      ErrorCode::unsupported, "this build has no LibTorch, which search needs to evaluate a super-network",
      "install libtorch-dev and build with meson setup build -Dtorch=enabled; --predictor works without");
}

}  // namespace

int run_evaluated_search(SearchFlags& /*flags*/, const Session& /*session*/) {
  refuse();
}

int run_fit_predictor(SearchFlags& /*flags*/, const Session& /*session*/) {
  refuse();
}

}  // namespace dsn::cli

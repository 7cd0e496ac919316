// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/error.h"

namespace dsn {

int exit_status(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::failed:
    case ErrorCode::io:
      return 1;
    case ErrorCode::bad_usage:
    case ErrorCode::bad_input:
    case ErrorCode::not_found:
    case ErrorCode::mismatch:
      return 2;
    case ErrorCode::infeasible:
      return 3;
    case ErrorCode::unsupported:
    case ErrorCode::permission:
      return 4;
    case ErrorCode::interrupted:
      return 130;
  }
  return 1;
}

}  // namespace dsn

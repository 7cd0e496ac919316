// SPDX-License-Identifier: Apache-2.0
// The Error that a call throws, for tests of what it says.
#pragma once

#include <doctest/doctest.h>

#include "dsn/core/error.h"

namespace dsn::fakes {

// A failed check and code `failed` if `call` throws none.
template <typename Call>
Error error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  FAIL_CHECK("threw no Error");
  return {ErrorCode::failed, "no error"};
}

}  // namespace dsn::fakes

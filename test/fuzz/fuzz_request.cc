// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as a line on the control socket. Either they are refused with one of the errors
// of input, or they are a request that means the same once it was written and read again.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "dsn/control/request.h"
#include "dsn/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const dsn::ControlRequest request = dsn::parse_request({reinterpret_cast<const char*>(data), size});
    if (!std::isfinite(request.value)) std::abort();
    const dsn::ControlRequest again = dsn::parse_request(dsn::to_json(request).dump());
    if (again.command != request.command || again.app != request.app || again.value != request.value)
      std::abort();
  } catch (const dsn::Error& error) {
    if (error.code() != dsn::ErrorCode::bad_input && error.code() != dsn::ErrorCode::bad_usage) std::abort();
    if (error.message().empty()) std::abort();
  }
  return 0;
}

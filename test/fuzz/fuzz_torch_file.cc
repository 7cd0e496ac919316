// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as a PyTorch checkpoint. Either they are refused with Error{bad_input}, or
// every tensor can be read.
#include <cstdint>
#include <cstdlib>

#include "dsn/core/error.h"
#include "dsn/supernet/torch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto file = dsn::TorchFile::parse(std::as_bytes(std::span(data, size)), "file");
    for (const auto& [name, tensor] : file.tensors()) {
      try {
        const dsn::TorchValues values = file.values(name);
        if (values.floats.size() + values.integers.size() != static_cast<std::size_t>(tensor.numel()))
          std::abort();
      } catch (const dsn::Error& error) {
        if (error.code() != dsn::ErrorCode::bad_input) std::abort();
      }
    }
  } catch (const dsn::Error& error) {
    if (error.code() != dsn::ErrorCode::bad_input || error.message().find('\n') != std::string::npos)
      std::abort();
  }
  return 0;
}

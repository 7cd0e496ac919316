// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as a safetensors file. Either they are refused with Error{bad_input}, or every
// byte that is handed out can be read.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "dsn/core/error.h"
#include "dsn/core/safetensors.h"

namespace {

// The reader maps a file: this one lives in memory.
const std::string& memory_file(const std::uint8_t* data, std::size_t size) {
  static const int descriptor = memfd_create("fuzz", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  if (descriptor < 0 || ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, data, size, 0) != static_cast<ssize_t>(size)) {
    std::abort();
  }
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const dsn::TensorFile file = dsn::TensorFile::open(memory_file(data, size));
    for (const auto& [name, view] : file.tensors()) {
      unsigned sum = 0;
      for (const std::byte byte : view.bytes) sum += std::to_integer<unsigned>(byte);
      volatile unsigned sink = sum;  // not optimised away
      static_cast<void>(sink);
      if (view.dtype == dsn::DType::f32 && view.floats().size() != static_cast<std::size_t>(view.numel()))
        std::abort();
    }
  } catch (const dsn::Error& error) {
    if (error.code() != dsn::ErrorCode::bad_input) std::abort();
  }
  return 0;
}

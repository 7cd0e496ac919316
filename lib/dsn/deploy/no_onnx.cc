// SPDX-License-Identifier: Apache-2.0
// Stands in for onnx_write.cc in a build without ONNX; onnx_format() refuses before anything is written.
#include "dsn/core/error.h"
#include "dsn/deploy/onnx_write.h"

namespace dsn {

bool have_onnx() noexcept {
  return false;
}

void write_onnx(const FoldedNetwork& /*net*/, const OnnxOptions& /*options*/,
                const std::vector<std::pair<std::string, std::string>>& /*metadata*/, const fs::path& path) {
  throw Error(ErrorCode::unsupported, path.string() + ": this build cannot write ONNX",
              "build with meson setup build -Donnx=enabled");
}

}  // namespace dsn

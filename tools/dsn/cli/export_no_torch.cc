// SPDX-License-Identifier: Apache-2.0
#include "cli/export_torch.h"
#include "dsn/core/error.h"

namespace dsn::cli {

std::unique_ptr<ExportFormat> make_torchscript_format() {
  throw Error(ErrorCode::unsupported, "this build has no LibTorch, which --format torchscript needs",
              "install libtorch-dev and build with meson setup build -Dtorch=enabled");
}

std::optional<BnStats> calibrated_statistics(const SearchSpace& /*space*/, const TensorFile& /*weights*/,
                                             const Preprocessing& /*how*/, const SubnetConfig& /*config*/,
                                             const Dataset& /*train*/, std::size_t /*images*/) {
  return std::nullopt;
}

}  // namespace dsn::cli

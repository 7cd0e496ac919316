// SPDX-License-Identifier: Apache-2.0
#include "cli/export_torch.h"

#include "dsn/deploy/torchscript_format.h"
#include "dsn/supernet/batches.h"
#include "dsn/supernet/evaluate.h"

namespace dsn::cli {

std::unique_ptr<ExportFormat> make_torchscript_format() {
  return torchscript_format();
}

std::optional<BnStats> calibrated_statistics(const SearchSpace& space, const TensorFile& weights,
                                             const Preprocessing& how, const SubnetConfig& config,
                                             const Dataset& train, std::size_t images) {
  Supernet net(space, weights);
  const std::size_t batch = EvaluateOptions{}.calibration_batch;
  return to_bn_stats(net.calibrate(calibration_batches(train, how, config.r, images, batch), config));
}

}  // namespace dsn::cli

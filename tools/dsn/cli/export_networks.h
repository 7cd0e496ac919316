// SPDX-License-Identifier: Apache-2.0
// dsn export to other runtimes: sub-networks as ONNX, TorchScript or plain layers.
#pragma once

#include <optional>
#include <string>

#include "cli/eval_model.h"
#include "cli/session.h"

namespace dsn::cli {

struct NetworkExport {
  EvalChoice choice;
  std::string format, data, out;  // data: spec, or empty for the one the weights were trained on
  std::optional<int> opset;
  bool dynamic_batch = false, samples = false;
  std::size_t verify_images = 16, calib_images = 2000, val_count = 5000;
  int threads = 1;
};

[[nodiscard]] int export_networks(const NetworkExport& asked, const Session& session);

}  // namespace dsn::cli

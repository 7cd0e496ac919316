// SPDX-License-Identifier: Apache-2.0
// Sub-networks as ONNX (https://onnx.ai), run again with OpenCV's dnn.
//
// One input, "input": float32 [1 or N, C, r, r], normalised; one output, "logits": float32 [1 or N, classes].
// metadata_props: name, config, space_sha256, weights_sha256, preprocessing and class_names, the last three
// of which JSON where they are no plain text. HardSwish is one node from opset 14 on, before that its parts.
// OpenCV before 4.7 does not read the Clip (relu6) of opsets from 11 on: such files are not verified there.
#pragma once

#include <memory>

#include "dsn/deploy/export_format.h"

namespace dsn {

struct OnnxOptions {
  static constexpr int kOldestOpset = 10, kNewestOpset = 17;
  int opset = 14;
  bool dynamic_batch = false;  // first dimension "N" instead of 1
};

// Throws Error{bad_usage} for an opset out of range, Error{unsupported} naming the option in a build without
// ONNX.
[[nodiscard]] std::unique_ptr<ExportFormat> onnx_format(const OnnxOptions& options);

// Throws Error{failed} when a model of so many bytes of weights exceeds protobuf's 2 GiB.
void check_onnx_size(std::int64_t weight_bytes);

}  // namespace dsn

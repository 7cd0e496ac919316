// SPDX-License-Identifier: Apache-2.0
// Reads ONNX files with OpenCV's dnn. Not installed.
#pragma once

#include <memory>
#include <string>

#include "dsn/deploy/export_format.h"

namespace dsn {

// As ExportFormat::open().
[[nodiscard]] std::unique_ptr<LogitsRunner> open_onnx(const fs::path& file, const FoldedNetwork& net,
                                                      int opset, std::string& why_not);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Writing ONNX files; the one place that knows the onnx protobuf. Not installed.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dsn/core/file.h"
#include "dsn/deploy/folded_network.h"
#include "dsn/deploy/onnx_format.h"

namespace dsn {

// Whether this build can.
[[nodiscard]] bool have_onnx() noexcept;

// `metadata`: keys and values of metadata_props, in order. What is written has passed onnx's own checker.
// Same input, same bytes. Throws Error{failed | io}.
void write_onnx(const FoldedNetwork& net, const OnnxOptions& options,
                const std::vector<std::pair<std::string, std::string>>& metadata, const fs::path& path);

}  // namespace dsn

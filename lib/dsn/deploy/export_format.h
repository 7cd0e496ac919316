// SPDX-License-Identifier: Apache-2.0
// File formats that sub-networks leave dsn in, and running what was written with another library.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/data/preprocess.h"
#include "dsn/deploy/folded_network.h"

namespace dsn {

// What a file says about the sub-network in it.
struct ExportLabels {
  std::string name;                          // "level 2"
  Json config;                               // SearchSpace::to_json()
  std::string space_sha256, weights_sha256;  // of the super-network
  Preprocessing preprocessing;
  std::vector<std::string> class_names;  // empty: unknown
  std::int64_t macs = 0, params = 0;
};

// Computes logits from an exported file. thread-bound.
class LogitsRunner {
 public:
  virtual ~LogitsRunner() = default;
  [[nodiscard]] virtual std::string name() const = 0;  // "OpenCV dnn 4.6.0"
  // Why this runner computes one image at a time, though the file may take more; empty: it takes what the
  // file does.
  [[nodiscard]] virtual std::string why_single() const { return {}; }
  // input: float32 [batch, C, r, r]; returns logits float32 [batch, classes].
  [[nodiscard]] virtual std::vector<float> logits(std::span<const float> input, int batch) = 0;
};

// thread-compatible.
class ExportFormat {
 public:
  virtual ~ExportFormat() = default;
  [[nodiscard]] virtual std::string name() const = 0;  // "onnx"
  [[nodiscard]] virtual Json settings() const = 0;     // what a user chose; goes into index.json
  // Batch sizes to verify at: 1, and another one where the files take any.
  [[nodiscard]] virtual std::vector<int> batches() const = 0;

  // Writes `net` into files of `folder` whose names start with `stem`, and returns the names, the one to open
  // first. Throws Error{unsupported | io | failed}.
  virtual std::vector<std::string> write(const FoldedNetwork& net, const ExportLabels& labels,
                                         const fs::path& folder, const std::string& stem) const = 0;

  // Reads a file again. Null when this build has nothing to run it with; `why_not` then says so. Throws
  // Error{failed} naming the file when it cannot be read.
  [[nodiscard]] virtual std::unique_ptr<LogitsRunner> open(const fs::path& file, const FoldedNetwork& net,
                                                           std::string& why_not) const = 0;
};

}  // namespace dsn

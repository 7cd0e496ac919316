// SPDX-License-Identifier: Apache-2.0
// A family: the levels of one deployment, ordered from fastest to slowest, each on the Pareto front. No
// LibTorch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/platform/platform.h"
#include "dsn/space/search_space.h"

namespace dsn {

struct Level {
  int id = 0;  // index, 0 = fastest
  SubnetConfig config;
  double accuracy = 0;  // top-1, fraction, after batch-norm calibration
  Origin accuracy_origin = Origin::measured;
  std::string accuracy_on;             // "fashion-mnist/test, n=10000"
  std::optional<double> val_accuracy;  // what search chose by
  std::int64_t macs = 0, params = 0;
  double predicted_latency_s = 0;  // from the LUT's units at the family's reference point
  std::string bn_prefix;           // in the batch-norm file; empty: shared statistics
};

// Immutable once loaded.
struct Family {
  Json space_document;
  std::string space_sha256;
  std::string weights_sha256;  // tensors_sha256() of the super-network; empty for published families
  std::string bn_file;         // beside the family file; empty when no level has statistics of its own
  std::string lut_file;        // measured level rows, beside the family file; empty when not measured
  std::vector<Level> levels;   // ascending latency and accuracy

  // Throws Error{bad_input | mismatch} with the JSON path: a level whose MACs or parameters are not those of
  // its configuration, too.
  static Family load(const fs::path& path);
  static Family parse(const Json& document, const std::string& file);
  // One sentence per level that is not the largest sub-network and has no batch-norm statistics of its own:
  // whoever runs or ships such a level says so.
  [[nodiscard]] std::vector<std::string> calibration_doubts() const;
  [[nodiscard]] Json to_json() const;  // content only, without the envelope
};

}  // namespace dsn

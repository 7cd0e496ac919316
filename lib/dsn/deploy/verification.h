// SPDX-License-Identifier: Apache-2.0
// Whether an exported file computes what dsn computes: it is read again and run by another library.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dsn/data/dataset.h"
#include "dsn/deploy/export_format.h"

namespace dsn {

// Largest difference of a logit that an exported file may have, as a part of the largest logit of that image.
inline constexpr double kExportTolerance = 1e-4;

// Images as a network takes them.
struct VerificationInputs {
  std::string origin;  // "fashion-mnist/test", or what else they are
  std::size_t images = 0;
  int resolution = 0;
  std::vector<float> values;  // float32 [images, C, resolution, resolution]
};

// `count` images spread evenly over `data` (all of them if it has fewer); without data, seeded normal values.
[[nodiscard]] VerificationInputs verification_inputs(const Dataset* data, const Preprocessing& how,
                                                     int resolution, std::size_t count);

struct Verification {
  std::string by;       // what ran the file; empty: nothing did
  std::string why_not;  // where nothing did
  std::string origin;   // of the inputs
  std::size_t images = 0;
  std::vector<int> batches;
  std::string batches_reason;     // why only 1, where the file takes others too
  double largest_difference = 0;  // over images: largest difference of a logit over its largest logit
  std::size_t top1_agree = 0;     // images whose largest logit is the same one, at every batch size
  [[nodiscard]] bool done() const noexcept { return !by.empty(); }
  [[nodiscard]] Json to_json() const;
};

// Runs `file` on `inputs` at each of the format's batch sizes. expected: dsn's own logits, float32
// [images, classes]. Throws Error{failed} naming file, difference and tolerance where it differs by more, or
// gives values that are not finite.
[[nodiscard]] Verification verify_file(const ExportFormat& format, const fs::path& file,
                                       const FoldedNetwork& net, const VerificationInputs& inputs,
                                       std::span<const float> expected);

}  // namespace dsn

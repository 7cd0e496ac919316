// SPDX-License-Identifier: Apache-2.0
// The accuracy predictor published with Once-for-All (https://github.com/mit-han-lab/once-for-all): a small
// network from a sub-network of its MobileNetV3 to ImageNet top-1.
//
// Its input is one-hot: the kernel (3, 5, 7) of each of 20 places, then the expand ratio (3, 4, 6) of each,
// then the resolution (112 to 224 in steps of 16). A stage has four places, one per block; those of absent
// blocks are all zero. What it says is biased: Calibration (calibration.h) mends that where there are
// measurements.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "dsn/search/predictor.h"

namespace dsn {

class OfaPredictor : public AccuracyPredictor {
 public:
  // `path`: safetensors, layers named as torch.nn.Sequential does. Throws Error{not_found | bad_input} for
  // the file, Error{mismatch} for a space that the encoding has no place for: not five stages of at most four
  // MBConv blocks with those kernels and ratios and a fixed width, or none of its resolutions.
  static OfaPredictor open(const std::filesystem::path& path, const SearchSpace& space);

  // The space's resolutions that it knows, ascending.
  [[nodiscard]] const std::vector<int>& resolutions() const noexcept { return resolutions_; }
  // Throws Error{bad_usage} for a resolution that it does not know.
  [[nodiscard]] double predict(const SubnetConfig& config) const override;
  [[nodiscard]] std::unique_ptr<RowFunction> rows(const GeneSpace& genes) const override;

 private:
  class Rows;
  struct Network;
  OfaPredictor(const SearchSpace& space, std::shared_ptr<const Network> network);
  SearchSpace space_;
  std::shared_ptr<const Network> network_;
  std::vector<int> resolutions_;
};

}  // namespace dsn

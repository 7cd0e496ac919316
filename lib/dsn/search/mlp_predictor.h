// SPDX-License-Identifier: Apache-2.0
// A small network from a sub-network's choices to its accuracy, trained on sub-networks that were evaluated,
// kept as safetensors.
//
// Its input is the logarithm of MACs, its square, and one 1 for each choice that means something. It is
// several networks side by side: where they disagree, evaluating tells most.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dsn/search/predictor.h"

namespace dsn {

class MlpPredictor : public AccuracyPredictor {
 public:
  // configs: canonical; accuracy: of the same length, finite. Trains on the calling thread; the same
  // arguments give the same bits. Throws Error{bad_usage} with fewer than 4 sub-networks, Error{bad_input}
  // for an accuracy that is not finite.
  static MlpPredictor fit(const SearchSpace& space, std::span<const SubnetConfig> configs,
                          std::span<const double> accuracy, std::uint64_t seed);
  // Throws Error{not_found | bad_input} for the file, Error{mismatch} when it was trained for another space.
  static MlpPredictor open(const std::filesystem::path& path, const SearchSpace& space);
  // Whether a safetensors file is one of these.
  [[nodiscard]] static bool is_one(const std::filesystem::path& path);

  // Layers, the space and `notes` (what it was trained on, how good it is) as safetensors. Throws as
  // write_safetensors().
  void save(const std::filesystem::path& path, const std::map<std::string, std::string>& notes) const;

  [[nodiscard]] double predict(const SubnetConfig& config) const override;
  [[nodiscard]] std::unique_ptr<RowFunction> rows(const GeneSpace& genes) const override;
  // Standard deviation between its networks, a fraction of accuracy.
  [[nodiscard]] double disagreement(const SubnetConfig& config) const;

 private:
  class Encoding;
  class Rows;
  struct Network;
  MlpPredictor(const SearchSpace& space, std::shared_ptr<const Network> network);
  std::shared_ptr<const SearchSpace> space_;
  std::shared_ptr<const Network> network_;
  std::shared_ptr<const Rows> own_;  // of all of the space
};

// What --predictor names: one that fit() made, or Once-for-All's (ofa_predictor.h).
struct OpenedPredictor {
  std::unique_ptr<AccuracyPredictor> predictor;
  std::vector<int> resolutions;  // of the space, those that it knows
};
// Throws as MlpPredictor::open() or OfaPredictor::open().
[[nodiscard]] OpenedPredictor open_predictor(const std::filesystem::path& path, const SearchSpace& space);

}  // namespace dsn

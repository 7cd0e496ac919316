// SPDX-License-Identifier: Apache-2.0
// Accuracies of sub-networks for a search, each paid for once. In builds with LibTorch.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/evaluation_journal.h"
#include "cli/search_modes.h"
#include "dsn/core/error.h"
#include "dsn/data/dataset.h"
#include "dsn/supernet/checkpoint.h"
#include "dsn/supernet/evaluate.h"

namespace dsn::cli {

// Accuracy by evaluation, remembered in the journal. Refers to its arguments but `flags`.
class Evaluator {
 public:
  // Throws as open_labelled().
  Evaluator(Supernet& net, const SearchFlags& flags, const CheckpointInfo& info, EvaluationJournal& journal,
            Job& job);

  [[nodiscard]] const Dataset& val() const { return *val_; }

  // Of each of `configs`, in order: on all validation images, or on as many as guide a search.
  std::vector<double> operator()(const SearchSpace& space, const std::vector<SubnetConfig>& configs,
                                 bool final);
  std::vector<Evaluation> evaluate_on(const Dataset& data, const std::vector<SubnetConfig>& configs,
                                      std::size_t images);

 private:
  Supernet& net_;
  const Preprocessing& how_;
  EvaluationJournal& journal_;
  Job& job_;
  std::unique_ptr<Dataset> train_, val_;
  EvaluateOptions options_;
  int threads_;
  std::size_t val_images_;
};

// Beside `out`, of what these flags and weights evaluate.
[[nodiscard]] EvaluationJournal open_journal(const fs::path& out, const SearchFlags& flags,
                                             const std::string& weights_sha256);
// What an interruption tells: where its evaluations are.
[[nodiscard]] Error interrupted_with(const EvaluationJournal& journal);

}  // namespace dsn::cli

// SPDX-License-Identifier: Apache-2.0
// The phases of a training: what is elastic in each, how long, at which learning rate. No LibTorch.
//
// A phase's choice of sub-networks is a search space of its own: the whole space with shorter lists, which
// keep the largest values, so that weights, block numbers and sub-networks mean the same in both.
#pragma once

#include <string>
#include <vector>

#include "dsn/supernet/train_options.h"

namespace dsn {

// What one step of a phase does.
enum class StepRule {
  sandwich,  // largest against labels; smallest and random ones against the largest's outputs
  labels,    // the largest of the phase's space, or the one fixed sub-network, against labels
  distil,    // sampled sub-networks against labels and the teacher's outputs, which count the same
};
[[nodiscard]] std::string_view to_string(StepRule rule) noexcept;

struct TrainPhase {
  std::string name;     // "sandwich", "full", "kernel", "depth 1", ...
  std::string elastic;  // what varies, for people: "resolution 24|28, kernel 3|5"; "nothing"
  SearchSpace space;    // what is sampled
  StepRule rule = StepRule::sandwich;
  int subnets = 1;  // forward and backward passes per step
  int first_epoch = 0, epochs = 0;
  double learning_rate = 0;  // peak, at the options' batch
  double warmup_epochs = 0;
  bool sort_channels = false;  // before it begins

  // Learning rate at `epoch` of the whole training (fractions count): linear warm-up, then cosine to zero at
  // the phase's end.
  [[nodiscard]] double learning_rate_at(double epoch) const noexcept;
};

// A sub-network of a phase's space as one of the whole `space`, canonical.
[[nodiscard]] SubnetConfig in_whole_space(const SearchSpace& space, SubnetConfig config);

struct TrainPlan {
  Method method = Method::sandwich;
  std::vector<TrainPhase> phases;

  [[nodiscard]] std::size_t phase_of(int epoch) const noexcept;  // the last one for epochs beyond the end
};

// The phases of `options` on `space`. Method::shrink: Cai et al. 2020 (section 3.3 and appendix), with its
// proportions of epochs and learning rates: full 180, kernel 125, depth 25 + 125, expand 25 + 125 epochs at
// 2.6, 0.96, 0.08, 0.24, 0.08, 0.24; a phase that would add nothing in this space is left out. Throws
// Error{bad_usage} when there are fewer epochs than phases, or Method::fixed has no sub-network.
[[nodiscard]] TrainPlan make_plan(const SearchSpace& space, const TrainOptions& options);

// [{"name", "rule", "elastic", "subnets_per_step", "first_epoch", "epochs", "learning_rate", "warmup_epochs",
//   "sort_channels"}], epochs counted from 1.
[[nodiscard]] Json to_json(const TrainPlan& plan);

}  // namespace dsn

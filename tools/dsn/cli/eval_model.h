// SPDX-License-Identifier: Apache-2.0
// What dsn eval and dsn export look at: weights with a space, from a super-network or a bundle, and the sub-networks asked
// for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/core/safetensors.h"
#include "dsn/data/preprocess.h"
#include "dsn/space/bn_stats.h"
#include "dsn/space/network.h"

namespace dsn::cli {

// Which sub-networks; at most one of subnet and family is given.
struct EvalChoice {
  std::string model;            // a checkpoint, or a bundle's folder
  std::string family;           // a dsn.family file
  std::string subnet;           // "largest", "smallest" or a file
  std::optional<int> level;     // of the family or bundle
  bool any_resolution = false;  // of the file: also one that the space does not list
};

struct EvalSubject {
  std::string name;  // "largest", "level 2", the file's name
  SubnetConfig config;
  BnStats bn;                             // its own; empty: it has none
  std::optional<int> level;               // in its family
  std::optional<double> family_accuracy;  // as recorded in it
  std::string accuracy_on;
};

struct EvalModel {
  SearchSpace space;
  Preprocessing preprocessing;
  std::vector<std::string> class_names;
  TensorFile weights;
  std::vector<InputHash> inputs;
  std::vector<EvalSubject> subjects;
  std::string dataset;  // spec that the weights were trained on; empty: unknown
};

// Throws Error{bad_usage} for choices that do not fit together, Error{mismatch} for a family of other
// weights, Error{bad_input | not_found} as the readers do; a sub-network that is not in the space names key,
// value and allowed set.
[[nodiscard]] EvalModel load_eval_model(const EvalChoice& choice);

// What to tell when `subject` runs on the super-network's batch-norm statistics; nothing for the largest
// sub-network, whose they are.
[[nodiscard]] std::optional<std::string> shared_statistics_doubt(const SearchSpace& space,
                                                                 const EvalSubject& subject);

}  // namespace dsn::cli

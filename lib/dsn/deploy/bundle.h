// SPDX-License-Identifier: Apache-2.0
// A bundle: the folder a device needs to run a family. No LibTorch.
//
//   manifest.json        dsn.bundle: space, levels, labels, preprocessing, provenance, sha256 of each part
//   weights.safetensors  shared weights        bn.safetensors  batch-norm statistics per level
//   lut.json             measured costs of the levels on the device
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dsn/core/safetensors.h"
#include "dsn/data/preprocess.h"
#include "dsn/engine/executor.h"
#include "dsn/profile/lut.h"
#include "dsn/search/family.h"
#include "dsn/space/search_space.h"

namespace dsn {

// Immutable once opened; weights are mapped, not copied.
struct Bundle {
  fs::path folder;
  Json manifest;
  SearchSpace space;
  Family family;
  Lut lut;
  Preprocessing preprocessing;
  std::vector<std::string> class_names;
  TensorFile weights;
  std::vector<LevelSpec> levels;  // configuration and statistics, in family order

  // Throws Error{not_found | bad_input | mismatch}: a part missing, truncated or changed (sha256) is named.
  static Bundle open(const fs::path& folder);
};

struct BundleParts {
  fs::path supernet;  // checkpoint (dsn train): weights, space, preprocessing, labels
  fs::path family;    // dsn.family with its batch-norm file beside it
  fs::path lut;       // dsn.lut with the levels' rows
};

// Writes the bundle into `folder` (made beside and renamed; an existing bundle is replaced, anything else is Error{bad_usage}).
// Throws Error{mismatch} when the parts are of different spaces or weights, Error{not_found} when the LUT lacks a level.
void write_bundle(const BundleParts& parts, const fs::path& folder);

}  // namespace dsn

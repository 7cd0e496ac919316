// SPDX-License-Identifier: Apache-2.0
// A bundle: what a device needs to run a family, as a folder or as one file (.dsnb). No LibTorch.
//
//   manifest.json        dsn.bundle: space, levels, labels, preprocessing, provenance, sha256 of each part
//   and of
//                        itself
//   weights.safetensors  shared weights        bn.safetensors  batch-norm statistics per level
//   lut-N.json           measured costs of the levels, per device and engine
//
// FORMAT.md beside this file is the format's page, with what stays readable.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dsn/core/safetensors.h"
#include "dsn/data/preprocess.h"
#include "dsn/engine/executor.h"
#include "dsn/profile/lut.h"
#include "dsn/search/family.h"
#include "dsn/space/search_space.h"

namespace dsn {

// Immutable once opened: const members are thread-safe. Weights are mapped, not copied.
struct Bundle {
  fs::path path;       // the folder, or the .dsnb file
  std::string sha256;  // of the manifest, and so of every part: identifies the bundle in either form
  std::uint64_t size_bytes = 0;  // of the manifest and all parts
  Json manifest;
  SearchSpace space;
  Family family;
  std::vector<Lut> luts;  // at least one; no two of one device and engine
  Preprocessing preprocessing;
  std::vector<std::string> class_names;  // [classes]
  TensorFile weights;
  std::vector<LevelSpec> levels;  // configuration and statistics, in family order

  // Throws Error{not_found | bad_input | mismatch}: a part missing, truncated or changed by a single byte,
  // the manifest too, is found here and named.
  static Bundle open(const fs::path& path);

  // The costs on this device, measured with this engine; nullptr when there are none. platform_sha256:
  // Platform::sha256.
  [[nodiscard]] const Lut* find_lut(const std::string& platform_sha256,
                                    const std::string& engine) const noexcept;
  // "AMD EPYC, 2 cores (elastic); Jetson Nano (elastic)", for messages.
  [[nodiscard]] std::string measured_on() const;
};

struct BundleParts {
  fs::path supernet;           // checkpoint (dsn train): weights, space, preprocessing, labels
  fs::path family;             // dsn.family with its batch-norm file beside it
  std::vector<fs::path> luts;  // dsn.lut with the levels' rows, one per device and engine
};

// Writes the bundle: one file when `path` ends in .dsnb, else a folder. Made beside and renamed; an existing
// bundle is replaced, anything else is Error{bad_usage}. Throws Error{mismatch} when the parts are of
// different spaces or weights, Error{bad_usage} for no LUT or two of one device and engine, Error{not_found}
// when a LUT lacks a level.
void write_bundle(const BundleParts& parts, const fs::path& path);

// True if `path` is a .dsnb file or a folder with a bundle's manifest.
[[nodiscard]] bool is_bundle(const fs::path& path);

}  // namespace dsn

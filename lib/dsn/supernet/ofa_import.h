// SPDX-License-Identifier: Apache-2.0
// Once-for-All checkpoints (mit-han-lab/once-for-all) as dsn super-networks. No LibTorch.
//
// Weight sharing is Once-for-All's own, so import only renames: "blocks.0" is `first`, "blocks.N" is
// blocks.(N-1), and so on (ofa_names.h). Both generations of names are read (blocks in "mobile_inverted_conv"
// or in "conv"), with and without "module." of data-parallel training. Kernel transforms are taken as trained
// with KERNEL_TRANSFORM_MODE 1, which the published networks are.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "dsn/supernet/checkpoint.h"
#include "dsn/supernet/torch_file.h"

namespace dsn {

struct OfaImport {
  CheckpointInfo info;  // ImageNet's preprocessing, no class names; the record says where it came from
  std::map<std::string, std::vector<std::int64_t>> shapes;
  std::map<std::string, std::vector<float>> tensors;  // by the names in supernet.h, row-major
  std::string naming;                                 // of its blocks: "mobile_inverted_conv" or "conv"

  // For write_checkpoint() and tensors_sha256(). Valid while this lives.
  [[nodiscard]] std::map<std::string, TensorView> views() const;
  [[nodiscard]] std::string weights_sha256() const { return tensors_sha256(views()); }
};

// Reads `checkpoint` into `space`. Throws what TorchFile::open() throws; Error{mismatch} that counts and
// names missing, unexpected and wrongly shaped tensors, with the width multiplier and classes that would fit,
// if any does, as hint; Error{bad_input} naming a tensor with a value that is not finite, or a negative
// variance.
[[nodiscard]] OfaImport import_ofa(const fs::path& checkpoint, const SearchSpace& space);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Sub-networks out of dsn, each as a file of its own: written, run again, and only then put in place.
//
//   index.json         dsn.export: what each file holds, its sha256, and how it was verified
//   level0.onnx ...    one or two files per sub-network, by the format
//   samples.safetensors  on request: the inputs of the verification and dsn's own logits
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsn/core/job.h"
#include "dsn/deploy/export_format.h"
#include "dsn/deploy/verification.h"

namespace dsn {

struct ExportSubject {
  std::string name, stem;  // "level 2", "level2": what its files are called
  LevelSpec spec;
  std::string bn;                  // whose batch-norm statistics: "own", "calibrated" or "shared"
  std::optional<int> level;        // in its family
  std::optional<double> accuracy;  // as recorded there
  std::string accuracy_on;
};

// What the sub-networks are of.
struct ExportSource {
  SearchSpace space;
  TensorFile weights;
  Preprocessing preprocessing;
  std::vector<std::string> class_names;  // empty: unknown
  std::vector<InputHash> inputs;
};

struct ExportOptions {
  const Dataset* images = nullptr;  // to verify on; null: random values
  std::size_t verify_images = 16;
  bool samples = false;
  int threads = 1;                    // of dsn's own inference
  std::vector<std::string> warnings;  // of whoever chose the sub-networks: told, and kept in the index
};

// Writes `subjects` into `folder` (made beside and renamed; an older export or an empty folder is replaced)
// and returns index.json. The job advances by one per sub-network; what it is warned of is in the index too.
// Throws Error{bad_usage} for a folder of anything else, Error{failed} for a file that does not
// compute what dsn computes: then nothing is left behind. And as fold_network() and make_executor().
Json write_export(const ExportSource& source, const std::vector<ExportSubject>& subjects,
                  const ExportFormat& format, const ExportOptions& options, const fs::path& folder, Job& job);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// What dsn eval found: as a dsn.report, as tables, as pictures.
#pragma once

#include <string>
#include <vector>

#include "cli/eval_model.h"
#include "dsn/supernet/evaluate.h"

namespace dsn::cli {

// One sub-network, evaluated.
struct EvalResult {
  const EvalSubject& subject;
  BnSource source;
  Evaluation found;
};

// What all of them were evaluated on.
struct EvalData {
  std::string name;                      // "fashion-mnist/test"
  std::vector<std::string> class_names;  // [classes]
  std::string calibration_name;          // empty when nothing was calibrated
  std::size_t calibration_images = 0;
};

// {"data", "images", "subnets": [...]}: the "eval" part of the report.
[[nodiscard]] Json eval_json(const EvalModel& model, const EvalData& data,
                             const std::vector<EvalResult>& results);
[[nodiscard]] std::string eval_text(const EvalModel& model, const EvalData& data,
                                    const std::vector<EvalResult>& results);

// "family.png" for one sub-network, "family-level-2.png" where there are several.
[[nodiscard]] fs::path picture_path(const fs::path& path, const EvalSubject& subject, bool only);
[[nodiscard]] std::string picture_title(const EvalData& data, const EvalResult& result);

// --dry-run: what each sub-network consists of, as a dsn.report of kind "subnet"; `text` receives the tables.
[[nodiscard]] Json units_report(const EvalModel& model, std::string& text);

}  // namespace dsn::cli

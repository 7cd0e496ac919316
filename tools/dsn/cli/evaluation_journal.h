// SPDX-License-Identifier: Apache-2.0
// Accuracies that a search has already paid for, kept in a file until the search is done: an interrupted
// search goes on where it was and ends with the same result, because evaluations are the same whenever asked.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "dsn/core/file.h"
#include "dsn/space/search_space.h"

namespace dsn::cli {

class EvaluationJournal {
 public:
  // identity: whatever changes an accuracy (weights, data, numbers of images). A journal of another identity
  // is Error{mismatch} when `resume`, otherwise what is there is forgotten.
  EvaluationJournal(fs::path path, std::string identity, bool resume);

  [[nodiscard]] std::optional<double> find(const Json& config, bool final) const;
  void add(const Json& config, bool final, double accuracy);
  void save() const;
  // The search is done: nothing to resume.
  void remove() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return accuracies_.size(); }
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
  std::string identity_;
  std::map<std::string, double> accuracies_;
};

}  // namespace dsn::cli

// SPDX-License-Identifier: Apache-2.0
// Predictions against labels, counted: what accuracy, recall and precision are derived from, and its picture.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/file.h"

namespace dsn {

// counts[label][predicted]. thread-compatible.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int classes = 0);

  // Throws Error{bad_input} for a label or prediction outside 0..classes - 1.
  void add(std::int64_t label, std::int64_t predicted);
  // Adds what another one of as many classes counted.
  ConfusionMatrix& operator+=(const ConfusionMatrix& other);

  [[nodiscard]] int classes() const noexcept { return classes_; }
  [[nodiscard]] std::int64_t at(int label, int predicted) const noexcept;
  [[nodiscard]] std::int64_t total() const noexcept;
  [[nodiscard]] std::int64_t correct() const noexcept;
  [[nodiscard]] std::int64_t labelled(int label) const noexcept;       // images of the class
  [[nodiscard]] std::int64_t predicted(int predicted) const noexcept;  // images taken for it

  // Fractions; nothing where there is nothing to divide by.
  [[nodiscard]] std::optional<double> accuracy() const noexcept;
  [[nodiscard]] std::optional<double> recall(int label) const noexcept;
  [[nodiscard]] std::optional<double> precision(int predicted) const noexcept;

  friend bool operator==(const ConfusionMatrix&, const ConfusionMatrix&) = default;

 private:
  int classes_ = 0;
  std::vector<std::int64_t> counts_;  // [classes, classes], row per label
};

// A picture (PNG): a row per label, a column per prediction, the diagonal blue, mistakes red. Up to 20
// classes the cells say how many percent of the label's images they are, above that it is a heat map.
// `names`: one per class, ASCII is what the picture can show. Throws Error{unsupported} in a build without
// OpenCV, Error{bad_usage} unless `path` ends in .png, Error{io | permission} as write_file_atomic().
void write_confusion_picture(const ConfusionMatrix& confusion, const std::vector<std::string>& names,
                             const std::string& title, const fs::path& path);
// What write_confusion_picture() would refuse of this build or path, thrown at once: called before long work.
void check_confusion_picture(const fs::path& path);

}  // namespace dsn

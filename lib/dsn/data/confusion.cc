// SPDX-License-Identifier: Apache-2.0
#include "dsn/data/confusion.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "dsn/data/internal.h"

namespace dsn {
namespace {

std::optional<double> share(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(int classes)
    : classes_(classes), counts_(static_cast<std::size_t>(classes) * static_cast<std::size_t>(classes)) {}

void ConfusionMatrix::add(std::int64_t label, std::int64_t predicted) {
  for (const std::int64_t value : {label, predicted}) {
    if (value >= 0 && value < classes_) continue;
    throw Error(ErrorCode::bad_input,
                fmt::format("label {}, prediction {}: expected 0 to {}", label, predicted, classes_ - 1));
  }
  ++counts_[static_cast<std::size_t>(label * classes_ + predicted)];
}

ConfusionMatrix& ConfusionMatrix::operator+=(const ConfusionMatrix& other) {
  if (other.classes_ != classes_) {
    throw Error(ErrorCode::mismatch, fmt::format("confusion matrices of {} and of {} classes cannot be added",
                                                 classes_, other.classes_));
  }
  std::transform(counts_.begin(), counts_.end(), other.counts_.begin(), counts_.begin(), std::plus<>());
  return *this;
}

std::int64_t ConfusionMatrix::at(int label, int predicted) const noexcept {
  return counts_[static_cast<std::size_t>(label) * static_cast<std::size_t>(classes_) +
                 static_cast<std::size_t>(predicted)];
}

std::int64_t ConfusionMatrix::total() const noexcept {
  return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
}

std::int64_t ConfusionMatrix::correct() const noexcept {
  std::int64_t sum = 0;
  for (int c = 0; c < classes_; ++c) sum += at(c, c);
  return sum;
}

std::int64_t ConfusionMatrix::labelled(int label) const noexcept {
  std::int64_t sum = 0;
  for (int p = 0; p < classes_; ++p) sum += at(label, p);
  return sum;
}

std::int64_t ConfusionMatrix::predicted(int predicted) const noexcept {
  std::int64_t sum = 0;
  for (int l = 0; l < classes_; ++l) sum += at(l, predicted);
  return sum;
}

std::optional<double> ConfusionMatrix::accuracy() const noexcept {
  return share(correct(), total());
}

std::optional<double> ConfusionMatrix::recall(int label) const noexcept {
  return share(at(label, label), labelled(label));
}

std::optional<double> ConfusionMatrix::precision(int p) const noexcept {
  return share(at(p, p), predicted(p));
}

void check_confusion_picture(const fs::path& path) {
  datasets::require_opencv(path.string());
  if (path.extension() != ".png") {
    throw Error(ErrorCode::bad_usage, fmt::format("{}: found extension '{}', expected .png", path.string(),
                                                  path.extension().string()));
  }
  check_writable(path);
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "cli/evaluation_journal.h"

#include <fmt/format.h>

#include <utility>

#include "dsn/core/error.h"

namespace dsn::cli {
namespace {

std::string key_of(const Json& config, bool final) {
  return (final ? "final " : "guide ") + config.dump();
}

}  // namespace

EvaluationJournal::EvaluationJournal(fs::path path, std::string identity, bool resume)
    : path_(std::move(path)), identity_(std::move(identity)) {
  if (!resume || !fs::exists(path_)) return;
  const Json document = read_json(path_);
  const JsonView view(document, path_.string());
  if (view["identity"].text() != identity_) {
    throw Error(
        ErrorCode::mismatch,
        fmt::format("{} is of a search with other weights, data or numbers of images", path_.string()),
        "start without --resume");
  }
  for (const auto& [key, value] : view["accuracies"].json().items()) {
    accuracies_[key] = view["accuracies"][key].number(0, 1);
  }
}

std::optional<double> EvaluationJournal::find(const Json& config, bool final) const {
  const auto found = accuracies_.find(key_of(config, final));
  return found == accuracies_.end() ? std::nullopt : std::optional(found->second);
}

void EvaluationJournal::add(const Json& config, bool final, double accuracy) {
  accuracies_[key_of(config, final)] = accuracy;
}

void EvaluationJournal::save() const {
  write_file_atomic(path_, dump_json({{"identity", identity_}, {"accuracies", accuracies_}}));
}

void EvaluationJournal::remove() const noexcept {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

}  // namespace dsn::cli

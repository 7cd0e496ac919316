// SPDX-License-Identifier: Apache-2.0
#include "cli/eval_model.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/deploy/bundle.h"
#include "dsn/deploy/levels.h"
#include "dsn/supernet/checkpoint.h"

namespace dsn::cli {
namespace {

void check_choice(const EvalChoice& choice, bool bundle) {
  if (!choice.subnet.empty() && (!choice.family.empty() || choice.level)) {
    throw Error(ErrorCode::bad_usage, "--subnet names one sub-network: it excludes --family and --level");
  }
  if (bundle && !choice.family.empty()) {
    throw Error(ErrorCode::bad_usage, fmt::format("{} is a bundle and has a family of its own", choice.model),
                "leave --family out, or give the super-network");
  }
  if (choice.level && choice.family.empty() && !bundle) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("--level: {} is a super-network, which has no levels", choice.model),
                "give a --family, or a bundle");
  }
}

std::vector<EvalSubject> levels_of(const Family& family, std::vector<LevelSpec> specs,
                                   const std::optional<int>& only, const std::string& where) {
  const auto count = static_cast<int>(specs.size());
  if (only && (*only < 0 || *only >= count)) {
    throw Error(ErrorCode::not_found, fmt::format("--level: found {}, expected 0 to {}, the levels of {}",
                                                  *only, count - 1, where));
  }
  std::vector<EvalSubject> subjects;
  for (int i = 0; i < count; ++i) {
    if (only && i != *only) continue;
    const Level& level = family.levels[static_cast<std::size_t>(i)];
    LevelSpec& spec = specs[static_cast<std::size_t>(i)];
    subjects.push_back({fmt::format("level {}", i), std::move(spec.config), std::move(spec.bn), i,
                        level.accuracy, level.accuracy_on});
  }
  return subjects;
}

EvalSubject plain(std::string name, SubnetConfig config) {
  return {std::move(name), std::move(config), {}, std::nullopt, std::nullopt, {}};
}

// A resolution that the space does not list becomes one of its own.
EvalSubject read_subnet(const EvalChoice& choice, SearchSpace& space) {
  const Json document = read_json(choice.subnet, true);
  const JsonView view(document, choice.subnet);
  if (choice.any_resolution) space = space.with_resolution(static_cast<int>(view["r"].integer(1, 1 << 16)));
  return plain(fs::path(choice.subnet).filename().string(), space.from_json(view));
}

void choose_plain(const EvalChoice& choice, EvalModel& model) {
  const SearchSpace& space = model.space;
  const bool ends = choice.subnet.empty();
  if (choice.subnet == "largest" || ends)
    model.subjects.push_back(plain("largest", space.canonical(space.largest())));
  if (choice.subnet == "smallest" || ends)
    model.subjects.push_back(plain("smallest", space.canonical(space.smallest())));
  if (model.subjects.empty()) model.subjects.push_back(read_subnet(choice, model.space));
}

void require_weights(const Family& family, const Checkpoint& checkpoint, const EvalChoice& choice) {
  const auto require = [&](const char* what, const std::string& found, const std::string& expected) {
    if (found == expected) return;
    throw Error(ErrorCode::mismatch,
                fmt::format("{} is of {} {}, {} of {}", choice.family, what,
                            found.empty() ? "that it does not name" : found.substr(0, 12), choice.model,
                            expected.substr(0, 12)),
                "use the family that dsn search made from this super-network");
  };
  require("space", family.space_sha256, checkpoint.info.space.sha256());
  require("weights", family.weights_sha256, checkpoint.weights_sha256);
}

}  // namespace

std::optional<std::string> shared_statistics_doubt(const SearchSpace& space, const EvalSubject& subject) {
  if (space.canonical(subject.config) == space.canonical(space.largest())) return std::nullopt;
  return fmt::format(
      "{} was never calibrated: it runs on the super-network's batch-norm statistics, which belong to the "
      "largest "
      "sub-network, and is less accurate than it could be",
      subject.name);
}

EvalModel load_eval_model(const EvalChoice& asked) {
  std::error_code ignored;
  EvalChoice choice = asked;
  const fs::path imported = fs::path(choice.model) / "supernet.safetensors";  // in the folder of dsn import
  if (fs::exists(imported, ignored)) choice.model = imported.string();
  const bool bundle = fs::is_directory(choice.model, ignored) || is_bundle(choice.model);
  check_choice(choice, bundle);
  if (bundle) {
    Bundle b = Bundle::open(choice.model);
    EvalModel model{std::move(b.space),
                    std::move(b.preprocessing),
                    std::move(b.class_names),
                    std::move(b.weights),
                    {{"bundle", b.sha256}},
                    {},
                    b.manifest.value("dataset", "")};
    if (choice.subnet.empty()) {
      model.subjects = levels_of(b.family, std::move(b.levels), choice.level, choice.model);
    } else {
      choose_plain(choice, model);
    }
    return model;
  }
  Checkpoint c = Checkpoint::open(choice.model);
  std::vector<EvalSubject> levels;
  std::vector<InputHash> inputs{{"supernet", c.weights_sha256}};
  if (!choice.family.empty()) {
    const Family family = Family::load(choice.family);
    require_weights(family, c, choice);
    levels = levels_of(family, load_level_specs(family, choice.family), choice.level, choice.family);
    inputs.push_back({"family", sha256_file(choice.family)});
  }
  EvalModel model{std::move(c.info.space),
                  std::move(c.info.preprocessing),
                  std::move(c.info.class_names),
                  std::move(c.tensors),
                  std::move(inputs),
                  std::move(levels),
                  std::move(c.info.dataset)};
  if (choice.family.empty()) choose_plain(choice, model);
  return model;
}

}  // namespace dsn::cli

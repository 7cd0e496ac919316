// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/staged_folder.h"
#include "dsn/deploy/bundle.h"
#include "dsn/deploy/levels.h"
#include "dsn/supernet/checkpoint.h"

namespace dsn {
namespace {

constexpr const char* kWeightsFile = "weights.safetensors";
constexpr const char* kBnFile = "bn.safetensors";
constexpr const char* kLutFile = "lut.json";
constexpr const char* kManifest = "manifest.json";

// Only a bundle or an empty folder may be replaced: --out must not cost anyone their files.
void require_replaceable(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(folder, ignored))) return;
  if (fs::is_directory(folder, ignored)) {
    if (fs::is_empty(folder, ignored)) return;
    try {
      if (read_json(folder / kManifest).value("schema", "") == "dsn.bundle") return;
    } catch (const std::exception&) {
      // not a bundle: said below
    }
  }
  throw Error(ErrorCode::bad_usage, fmt::format("{} exists and is not a bundle", folder.string()),
              "name a folder that does not exist yet");
}

// `run` needs, at one operating point at least, the cost of every level.
void require_levels(const Lut& lut, const Family& family, const SearchSpace& space,
                    const fs::path& lut_path) {
  const auto points = lut.points();
  const auto covered = [&](const Level& level, const OperatingPoint& point) {
    return lut.level_entry(space.canonical(level.config), point) != nullptr;
  };
  for (const Level& level : family.levels) {
    const auto measured = [&](const OperatingPoint& point) { return covered(level, point); };
    if (std::any_of(points.begin(), points.end(), measured)) continue;
    throw Error(
        ErrorCode::not_found,
        fmt::format("{}: level {} ({}) was not measured end to end", lut_path.string(), level.id,
                    space.describe(level.config)),
        "dsn search measures the levels it chooses; dsn profile --levels FAMILY does it on another device");
  }
  const auto whole = [&](const OperatingPoint& point) {
    return std::all_of(family.levels.begin(), family.levels.end(),
                       [&](const Level& level) { return covered(level, point); });
  };
  if (std::none_of(points.begin(), points.end(), whole)) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}: at no operating point were all {} levels measured", lut_path.string(),
                            family.levels.size()),
                "dsn profile --levels FAMILY measures them all at each point");
  }
}

void require_together(const Checkpoint& checkpoint, const Family& family, const Lut& lut, const BundleParts& parts) {
  if (lut.space_sha256 != checkpoint.info.space.sha256()) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{} is of space {}, {} of space {}", parts.lut.string(), lut.space_sha256.substr(0, 12),
                            parts.supernet.string(), checkpoint.info.space.sha256().substr(0, 12)),
                "use a look-up table that dsn profile or dsn search made from this super-network");
  }
  if (family.space_sha256 != checkpoint.info.space.sha256()) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{} is of space {}, {} of space {}", parts.family.string(),
                            family.space_sha256.substr(0, 12), parts.supernet.string(),
                            checkpoint.info.space.sha256().substr(0, 12)),
                "use the family that dsn search made from this super-network");
  }
  if (family.weights_sha256 != checkpoint.weights_sha256) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{} was searched on weights {}, {} has weights {}", parts.family.string(),
                            family.weights_sha256.empty() ? "that it does not name"
                                                          : family.weights_sha256.substr(0, 12),
                            parts.supernet.string(), checkpoint.weights_sha256.substr(0, 12)),
                "search again: accuracies and batch-norm statistics belong to one set of weights");
  }
}

Json part(const fs::path& file) {
  return {
      {"file", file.filename().string()}, {"sha256", sha256_file(file)}, {"size_bytes", fs::file_size(file)}};
}

std::vector<std::string> class_names(const CheckpointInfo& info) {
  if (!info.class_names.empty()) return info.class_names;
  std::vector<std::string> numbers;
  for (int c = 0; c < info.space.classes(); ++c) numbers.push_back(std::to_string(c));
  return numbers;
}

}  // namespace

void write_bundle(const BundleParts& parts, const fs::path& folder) {
  const fs::path target = normal_folder(folder);
  require_replaceable(target);
  const Checkpoint checkpoint = Checkpoint::open(parts.supernet);
  Json family_document = read_document(parts.family, "dsn.family");
  const Family family = Family::parse(family_document, parts.family.string());
  const std::string lut_bytes = read_file(parts.lut);
  const Lut lut = Lut::load(parts.lut);
  const SearchSpace& space = checkpoint.info.space;
  require_together(checkpoint, family, lut, parts);
  require_levels(lut, family, space, parts.lut);

  StagedFolder staging(target);
  Json listed = Json::object();
  write_safetensors(staging.path() / kWeightsFile, checkpoint.tensors.tensors(), {});
  listed["weights"] = part(staging.path() / kWeightsFile);
  write_file_atomic(staging.path() / kLutFile, lut_bytes);
  listed["lut"] = part(staging.path() / kLutFile);
  std::vector<InputHash> inputs{{"supernet", checkpoint.weights_sha256},
                                {"family", sha256_file(parts.family)},
                                {"lut", sha256_hex(lut_bytes)}};
  if (!family.bn_file.empty()) {
    const fs::path bn_path = parts.family.parent_path() / family.bn_file;
    const TensorFile statistics = TensorFile::open(bn_path);
    static_cast<void>(level_specs(family, statistics, bn_path.string()));  // throws if some are absent
    write_safetensors(staging.path() / kBnFile, statistics.tensors(), {});
    listed["bn"] = part(staging.path() / kBnFile);
    inputs.push_back({"bn", sha256_file(bn_path)});
  }

  // Inside the bundle its files have the bundle's names.
  if (family_document.contains("bn_file") && !family.bn_file.empty()) family_document["bn_file"] = kBnFile;
  if (family_document.contains("lut_file") && !family.lut_file.empty())
    family_document["lut_file"] = kLutFile;
  const auto seed = family_document.value("seed", Json());
  Json manifest = pure_envelope("dsn.bundle", seed.is_number_unsigned() ? seed.get<std::uint64_t>() : 0,
                                inputs, Json::object());
  manifest["space"] = space.document();
  manifest["family"] = std::move(family_document);
  manifest["preprocessing"] = checkpoint.info.preprocessing.to_json();
  manifest["class_names"] = class_names(checkpoint.info);
  manifest["dataset"] = checkpoint.info.dataset;
  manifest["parts"] = std::move(listed);
  write_file_atomic(staging.path() / kManifest, dump_json(manifest));
  staging.put_in_place();
}

}  // namespace dsn

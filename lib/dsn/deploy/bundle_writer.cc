// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/core/staged_folder.h"
#include "dsn/core/tar.h"
#include "dsn/deploy/bundle.h"
#include "dsn/deploy/levels.h"
#include "dsn/deploy/manifest.h"
#include "dsn/supernet/checkpoint.h"

namespace dsn {
namespace {

constexpr const char* kWeightsFile = "weights.safetensors";
constexpr const char* kBnFile = "bn.safetensors";
constexpr const char* kSingleFile = ".dsnb";

// Only a bundle or an empty folder may be replaced: --out must not cost anyone their files.
void require_replaceable(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(path, ignored))) return;
  const bool single = path.extension() == kSingleFile;
  if (fs::is_directory(path, ignored)) {
    if (!single && fs::is_empty(path, ignored)) return;
    try {
      if (!single && read_json(path / kManifestFile).value("schema", "") == "dsn.bundle") return;
    } catch (const std::exception&) {
      // not a bundle: said below
    }
  } else if (single) {
    try {
      if (read_tar(map_file(path)).count(kManifestFile) != 0) return;
    } catch (const std::exception&) {
      // not a bundle: said below
    }
  }
  throw Error(ErrorCode::bad_usage, fmt::format("{} exists and is not a bundle", path.string()),
              single ? "name a file that does not exist yet" : "name a folder that does not exist yet");
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

void require_space(const Lut& lut, const fs::path& lut_path, const Checkpoint& checkpoint,
                   const BundleParts& parts) {
  if (lut.space_sha256 != checkpoint.info.space.sha256()) {
    throw Error(
        ErrorCode::mismatch,
        fmt::format("{} is of space {}, {} of space {}", lut_path.string(), lut.space_sha256.substr(0, 12),
                    parts.supernet.string(), checkpoint.info.space.sha256().substr(0, 12)),
        "use a look-up table that dsn profile or dsn search made from this super-network");
  }
}

void require_together(const Checkpoint& checkpoint, const Family& family, const BundleParts& parts) {
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

// The look-up tables, each with all levels, and no two for one place.
std::vector<Lut> load_luts(const BundleParts& parts, const Checkpoint& checkpoint, const Family& family) {
  if (parts.luts.empty()) throw Error(ErrorCode::bad_usage, "a bundle needs a look-up table of its levels");
  std::vector<Lut> luts;
  for (const fs::path& path : parts.luts) {
    Lut lut = Lut::load(path);
    require_space(lut, path, checkpoint, parts);
    require_levels(lut, family, checkpoint.info.space, path);
    for (const Lut& other : luts) {
      if (other.platform_sha256 == lut.platform_sha256 && other.engine == lut.engine) {
        throw Error(ErrorCode::bad_usage,
                    fmt::format("{}: a second look-up table of {} with engine {}", path.string(), lut.device,
                                lut.engine),
                    "give one per device and engine");
      }
    }
    luts.push_back(std::move(lut));
  }
  return luts;
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

// All parts and the manifest, in `folder`. Returns the files' names, the manifest first.
std::vector<std::string> write_files(const BundleParts& parts, const fs::path& folder) {
  const Checkpoint checkpoint = Checkpoint::open(parts.supernet);
  Json family_document = read_document(parts.family, "dsn.family");
  const Family family = Family::parse(family_document, parts.family.string());
  require_together(checkpoint, family, parts);
  const std::vector<Lut> luts = load_luts(parts, checkpoint, family);

  std::vector<InputHash> inputs{{"supernet", checkpoint.weights_sha256},
                                {"family", sha256_file(parts.family)}};
  std::vector<std::string> names{kManifestFile, kWeightsFile};
  Json listed = {{"luts", Json::array()}};
  write_safetensors(folder / kWeightsFile, checkpoint.tensors.tensors(), {});
  listed["weights"] = part(folder / kWeightsFile);
  for (std::size_t i = 0; i < luts.size(); ++i) {
    names.push_back(fmt::format("lut-{}.json", i));
    write_file_atomic(folder / names.back(), read_file(parts.luts[i]));
    Json entry = part(folder / names.back());
    entry["device"] = luts[i].device;
    entry["engine"] = luts[i].engine;
    inputs.push_back({"lut", entry["sha256"].get<std::string>()});
    listed["luts"].push_back(std::move(entry));
  }
  if (!family.bn_file.empty()) {
    const fs::path bn_path = parts.family.parent_path() / family.bn_file;
    const TensorFile statistics = TensorFile::open(bn_path);
    static_cast<void>(level_specs(family, statistics, bn_path.string()));  // throws if some are absent
    names.emplace_back(kBnFile);
    write_safetensors(folder / kBnFile, statistics.tensors(), {});
    listed["bn"] = part(folder / kBnFile);
    inputs.push_back({"bn", sha256_file(bn_path)});
  }

  // Inside the bundle its files have the bundle's names.
  if (family_document.contains("bn_file") && !family.bn_file.empty()) family_document["bn_file"] = kBnFile;
  if (family_document.contains("lut_file") && !family.lut_file.empty())
    family_document["lut_file"] = listed["luts"][0]["file"];
  const auto seed = family_document.value("seed", Json());
  Json manifest = pure_envelope("dsn.bundle", seed.is_number_unsigned() ? seed.get<std::uint64_t>() : 0,
                                inputs, Json::object());
  manifest["space"] = checkpoint.info.space.document();
  manifest["family"] = std::move(family_document);
  manifest["preprocessing"] = checkpoint.info.preprocessing.to_json();
  manifest["class_names"] = class_names(checkpoint.info);
  manifest["dataset"] = checkpoint.info.dataset;
  manifest["training"] = checkpoint.info.record;
  if (checkpoint.info.record.is_null())
    manifest["training_reason"] = "the super-network does not say how it was made";
  manifest["parts"] = std::move(listed);
  write_file_atomic(folder / kManifestFile, seal_manifest(std::move(manifest)));
  return names;
}

}  // namespace

void write_bundle(const BundleParts& parts, const fs::path& path) {
  const fs::path target = normal_folder(path);
  require_replaceable(target);
  const bool single = target.extension() == kSingleFile;
  if (single) check_writable(target);
  StagedFolder staging(single ? fs::path(target).concat(".parts") : target);
  const std::vector<std::string> names = write_files(parts, staging.path());
  if (!single) return staging.put_in_place();
  std::vector<MappedBytes> contents;
  std::vector<TarEntry> entries;
  for (const std::string& name : names) {
    contents.push_back(map_file(staging.path() / name));
    entries.push_back({name, contents.back().bytes});
  }
  write_tar(target, entries);
}

}  // namespace dsn

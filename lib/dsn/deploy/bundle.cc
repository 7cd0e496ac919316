// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/bundle.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/deploy/levels.h"

namespace dsn {
namespace {

constexpr const char* kManifest = "manifest.json";

// A part's file, checked against its size and hash in the manifest. Only a plain name: a manifest from
// elsewhere must not reach out of its folder.
fs::path checked_part(const fs::path& folder, const JsonView& part) {
  const std::string name = part["file"].text();
  if (name.empty() || name == "." || name == ".." || fs::path(name).filename() != name) {
    part["file"].fail("the name of a file in the bundle");
  }
  const fs::path path = folder / name;
  std::error_code failure;
  const auto size = fs::file_size(path, failure);
  if (failure) {
    throw Error(ErrorCode::not_found,
                fmt::format("bundle {}: cannot read {}: {}", folder.string(), name, failure.message()),
                "export the bundle again (dsn export)");
  }
  const auto expected = part["size_bytes"].integer(0, std::int64_t{1} << 50);
  if (size != static_cast<std::uintmax_t>(expected)) {
    throw Error(
        ErrorCode::bad_input,
        fmt::format("bundle {}: {}: found {} bytes, expected {}: {}", folder.string(), name, size, expected,
                    size < static_cast<std::uintmax_t>(expected) ? "it is truncated" : "it was changed"),
        "copy or export the bundle again");
  }
  const std::string hash = sha256_file(path);
  if (hash != part["sha256"].text()) {
    throw Error(ErrorCode::mismatch,
                fmt::format("bundle {}: {}: found sha256 {}, expected {}: it was changed after export",
                            folder.string(), name, hash.substr(0, 12), part["sha256"].text().substr(0, 12)),
                "copy or export the bundle again");
  }
  return path;
}

std::vector<std::string> texts(const JsonView& json) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < json.size(); ++i) values.push_back(json[i].text());
  return values;
}

}  // namespace

Bundle Bundle::open(const fs::path& folder) {
  std::error_code ignored;
  const fs::path manifest_path = folder / kManifest;
  if (!fs::is_directory(folder, ignored)) {
    throw Error(ErrorCode::not_found, fmt::format("bundle {}: no such folder", folder.string()),
                "dsn export --format bundle makes one");
  }
  if (!fs::exists(manifest_path, ignored)) {
    throw Error(ErrorCode::not_found,
                fmt::format("{} is not a bundle: it has no {}", folder.string(), kManifest),
                "dsn export --format bundle makes one");
  }
  Json manifest = read_document(manifest_path, "dsn.bundle");
  const std::string file = manifest_path.string();
  const JsonView view(manifest, file);

  SearchSpace space = SearchSpace::parse(view["space"].json(), file + ": /space");
  check_schema(view["family"].json(), "dsn.family", file + ": /family");
  Family family = Family::parse(view["family"].json(), file + ": /family");
  if (family.space_sha256 != space.sha256()) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{}: /family is of space {}, /space is {}", file,
                            family.space_sha256.substr(0, 12), space.sha256().substr(0, 12)));
  }
  std::vector<std::string> class_names = texts(view["class_names"]);
  if (class_names.size() != static_cast<std::size_t>(space.classes())) {
    view["class_names"].fail(fmt::format("{} names", space.classes()));
  }
  Preprocessing preprocessing = Preprocessing::from_json(view["preprocessing"]);

  const JsonView parts = view["parts"];
  Lut lut = Lut::load(checked_part(folder, parts["lut"]));
  lut.require_space(space);
  std::optional<TensorFile> statistics;
  if (parts.has("bn")) statistics = TensorFile::open(checked_part(folder, parts["bn"]));
  std::vector<LevelSpec> levels = level_specs(family, statistics, "bundle " + folder.string());
  TensorFile weights = TensorFile::open(checked_part(folder, parts["weights"]));
  return Bundle{folder,           std::move(manifest),      std::move(space),       std::move(family),
                std::move(lut),   std::move(preprocessing), std::move(class_names), std::move(weights),
                std::move(levels)};
}

}  // namespace dsn

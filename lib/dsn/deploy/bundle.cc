// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/bundle.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/tar.h"
#include "dsn/deploy/levels.h"
#include "dsn/deploy/manifest.h"

namespace dsn {
namespace {

constexpr const char* kAgain = "copy or export the bundle again";

// The files of a bundle in either form.
class Files {
 public:
  explicit Files(const fs::path& path) : path_(path) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
      throw Error(ErrorCode::not_found, fmt::format("bundle {}: no such file or folder", path.string()),
                  "dsn export --format bundle makes one");
    }
    folder_ = fs::is_directory(path, ignored);
    if (!folder_) entries_ = read_tar(map_file(path));
  }

  // Throws Error{not_found} naming bundle and file.
  [[nodiscard]] MappedBytes at(const std::string& name) const {
    if (!folder_) {
      const auto found = entries_.find(name);
      if (found == entries_.end()) missing(name, "it is not in the archive");
      return found->second;
    }
    std::error_code ignored;
    if (!fs::exists(path_ / name, ignored)) missing(name, "no such file");
    return map_file(path_ / name);
  }

  // An archive holds nothing that the manifest does not vouch for.
  void require_no_others(const std::vector<std::string>& known) const {
    for (const auto& [name, content] : entries_) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        throw Error(ErrorCode::bad_input,
                    fmt::format("{}: found an entry that its manifest does not name", content.name), kAgain);
      }
    }
  }

 private:
  [[noreturn]] void missing(const std::string& name, const char* why) const {
    if (name == kManifestFile) {
      throw Error(ErrorCode::not_found, fmt::format("{} is not a bundle: it has no {}", path_.string(), name),
                  "dsn export --format bundle makes one");
    }
    throw Error(ErrorCode::not_found, fmt::format("bundle {}: cannot read {}: {}", path_.string(), name, why),
                kAgain);
  }

  fs::path path_;
  bool folder_ = false;
  std::map<std::string, MappedBytes> entries_;
};

// Parts by name, each checked against its size and hash in the manifest.
class Parts {
 public:
  Parts(const Files& files, const fs::path& bundle) : files_(files), bundle_(bundle.string()) {}

  MappedBytes take(const JsonView& part) {
    const std::string name = part["file"].text();
    // Only a plain name: a manifest from elsewhere must not reach out of its folder.
    if (name.empty() || name == "." || name == ".." || fs::path(name).filename() != name) {
      part["file"].fail("the name of a file in the bundle");
    }
    MappedBytes content = files_.at(name);
    const auto size = content.bytes.size();
    const auto expected = static_cast<std::size_t>(part["size_bytes"].integer(0, std::int64_t{1} << 50));
    if (size != expected) {
      throw Error(ErrorCode::bad_input,
                  fmt::format("bundle {}: {}: found {} bytes, expected {}: {}", bundle_, name, size, expected,
                              size < expected ? "it is truncated" : "it was changed"),
                  kAgain);
    }
    const std::string hash = sha256_hex(content.bytes);
    if (hash != part["sha256"].text()) {
      throw Error(ErrorCode::mismatch,
                  fmt::format("bundle {}: {}: found sha256 {}, expected {}: it was changed after export",
                              bundle_, name, hash.substr(0, 12), part["sha256"].text().substr(0, 12)),
                  kAgain);
    }
    size_bytes_ += size;
    names_.push_back(name);
    return content;
  }

  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return size_bytes_; }
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }

 private:
  const Files& files_;
  std::string bundle_;
  std::uint64_t size_bytes_ = 0;
  std::vector<std::string> names_;
};

std::vector<std::string> texts(const JsonView& json) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < json.size(); ++i) values.push_back(json[i].text());
  return values;
}

Lut read_lut(const MappedBytes& content, const SearchSpace& space) {
  const Json document = parse_json(content.text(), content.name);
  check_schema(document, "dsn.lut", content.name);
  Lut lut = Lut::parse(document, content.name);
  lut.require_space(space);
  return lut;
}

}  // namespace

bool is_bundle(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return fs::exists(path / kManifestFile, ignored);
  return path.extension() == ".dsnb" && fs::exists(path, ignored);
}

Bundle Bundle::open(const fs::path& path) {
  const Files files(path);
  const MappedBytes content = files.at(kManifestFile);
  std::string sha256 = check_seal(content.text(), content.name);
  Json manifest = parse_json(content.text(), content.name);
  check_schema(manifest, "dsn.bundle", content.name);
  const std::string& file = content.name;
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

  const JsonView listed = view["parts"];
  Parts parts(files, path);
  std::vector<Lut> luts;
  for (std::size_t i = 0; i < listed["luts"].size(); ++i)
    luts.push_back(read_lut(parts.take(listed["luts"][i]), space));
  std::optional<TensorFile> statistics;
  if (listed.has("bn")) statistics = TensorFile::open(parts.take(listed["bn"]));
  std::vector<LevelSpec> levels = level_specs(family, statistics, "bundle " + path.string());
  TensorFile weights = TensorFile::open(parts.take(listed["weights"]));
  std::vector<std::string> names = parts.names();
  names.emplace_back(kManifestFile);
  files.require_no_others(names);
  return Bundle{path,
                std::move(sha256),
                parts.size_bytes() + content.bytes.size(),
                std::move(manifest),
                std::move(space),
                std::move(family),
                std::move(luts),
                std::move(preprocessing),
                std::move(class_names),
                std::move(weights),
                std::move(levels)};
}

const Lut* Bundle::find_lut(const std::string& platform_sha256, const std::string& engine) const noexcept {
  for (const Lut& lut : luts) {
    if (lut.platform_sha256 == platform_sha256 && lut.engine == engine) return &lut;
  }
  return nullptr;
}

std::string Bundle::measured_on() const {
  std::string text;
  for (const Lut& lut : luts) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : "; ", lut.device, lut.engine);
  }
  return text;
}

}  // namespace dsn

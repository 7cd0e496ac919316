// SPDX-License-Identifier: Apache-2.0
// Folders that appear whole or not at all.
#pragma once

#include <filesystem>

namespace dsn {

namespace fs = std::filesystem;

// "out/" and "out" are the same folder. Throws Error{bad_usage} for what has no name to put a temporary folder
// beside ("/", ".", "..").
[[nodiscard]] fs::path normal_folder(const fs::path& folder);

// A folder FOLDER.tmp that vanishes with this object unless it is put in place.
class StagedFolder {
 public:
  // folder: of normal_folder(). Throws Error{io | permission}.
  explicit StagedFolder(const fs::path& folder);
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;
  ~StagedFolder();

  // Where to write.
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }

  // One step for whoever looks at the folder: what was there is swapped out, and removed with this object.
  // Throws Error{io | permission}.
  void put_in_place();

 private:
  fs::path target_, path_;
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/staged_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>

#include <string>
#include <system_error>

#include "dsn/core/error.h"

namespace dsn {
namespace {

Error os_error(const fs::path& path, const std::string& what, const std::error_code& failure) {
  const bool denied = failure == std::errc::permission_denied || failure == std::errc::read_only_file_system;
  return {denied ? ErrorCode::permission : ErrorCode::io,
          fmt::format("cannot {} {}: {}", what, path.string(), failure.message())};
}

}  // namespace

fs::path normal_folder(const fs::path& folder) {
  fs::path normal = folder.lexically_normal();
  if (!normal.has_filename()) normal = normal.parent_path();
  if (normal.empty() || normal == "." || normal == ".." || normal == normal.root_path()) {
    throw Error(ErrorCode::bad_usage, fmt::format("'{}' cannot be the folder to write", folder.string()),
                "name a folder that does not exist yet");
  }
  return normal;
}

StagedFolder::StagedFolder(const fs::path& folder) : target_(folder), path_(folder.string() + ".tmp") {
  std::error_code failure;
  fs::remove_all(path_, failure);  // left over from a process that was killed
  fs::create_directories(path_, failure);
  if (failure) throw os_error(path_, "create", failure);
}

StagedFolder::~StagedFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void StagedFolder::put_in_place() {
  std::error_code failure;
  if (!fs::exists(target_, failure)) {
    fs::rename(path_, target_, failure);
    if (failure) throw os_error(target_, "create", failure);
    return;
  }
  if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) == 0) return;
  // Not every file system can swap (overlay, NFS): then there is a moment without the folder.
  const fs::path old = target_.string() + ".old.tmp";
  fs::remove_all(old, failure);
  fs::rename(target_, old, failure);
  if (failure) throw os_error(target_, "replace", failure);
  fs::rename(path_, target_, failure);
  if (failure) {
    std::error_code ignored;
    fs::rename(old, target_, ignored);
    throw os_error(target_, "replace", failure);
  }
  fs::remove_all(old, failure);
}

}  // namespace dsn

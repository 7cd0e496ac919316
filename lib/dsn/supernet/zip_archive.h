// SPDX-License-Identifier: Apache-2.0
// Reading a zip archive in memory, for checkpoints: entries by name, each with a size that is checked before
// anything is unpacked. Not installed. No LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dsn {

// thread-bound: libzip keeps a position in the archive.
class ZipArchive {
 public:
  // `bytes` must outlive the archive; `file` is used in messages. Throws Error{bad_input}: not a zip archive,
  // truncated, two entries of one name.
  ZipArchive(std::span<const std::byte> bytes, std::string file);

  // True if `bytes` start as a zip archive does.
  [[nodiscard]] static bool is_zip(std::span<const std::byte> bytes) noexcept;

  // Unpacked sizes by name.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& entries() const noexcept { return entries_; }

  // The whole entry, its checksum verified. Throws Error{bad_input}: absent, larger than `limit`, damaged,
  // encrypted, or claiming to unpack to more than 64 times its packed size (and 1 MiB): a zip bomb.
  [[nodiscard]] std::vector<std::byte> read(const std::string& name, std::uint64_t limit) const;

 private:
  struct Handle;
  std::shared_ptr<Handle> handle_;
  std::string file_;
  std::uint64_t size_bytes_ = 0;  // of the archive
  std::map<std::string, std::uint64_t> entries_;
};

}  // namespace dsn

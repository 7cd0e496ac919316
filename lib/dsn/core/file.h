// SPDX-License-Identifier: Apache-2.0
// Files: whole reads, atomic writes, read-only mappings, hashes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dsn {

namespace fs = std::filesystem;

// Whole file as bytes; pipes too. Throws Error{not_found | io | permission} naming the file, Error{bad_input}
// for a folder.
[[nodiscard]] std::string read_file(const fs::path& path);

// Whole gzip or plain file (told apart by its magic), at most `limit` bytes unpacked. A truncated or corrupt
// stream is Error{bad_input}.
[[nodiscard]] std::vector<std::byte> read_maybe_gzip(const fs::path& path,
                                                     std::size_t limit = std::size_t{1} << 31);

// Writes `path.tmp`, syncs it, renames it over `path`. On any failure (a full disk too) removes the .tmp,
// leaves `path` as it was and throws Error{io | permission | not_found (no such folder) | bad_input (a
// folder)}. A symbolic link is followed; a file that is there keeps its mode; a device or pipe is written
// directly.
void write_file_atomic(const fs::path& path, std::string_view content);

// The same for content too large to hold: `fill` appends through the sink it is given. What `fill` throws
// passes.
using ByteSink = std::function<void(std::span<const std::byte>)>;
void write_file_atomic(const fs::path& path, const std::function<void(const ByteSink&)>& fill);

// Throws at once what write_file_atomic() would throw for `path`, as far as can be known: called before long
// work.
void check_writable(const fs::path& path);

// Hex SHA-256.
[[nodiscard]] std::string sha256_hex(std::span<const std::byte> bytes);
[[nodiscard]] std::string sha256_hex(std::string_view text);
[[nodiscard]] std::string sha256_file(const fs::path& path);

// Read-only memory mapping of a regular file; movable. thread-safe once made. Someone who truncates the file
// meanwhile kills the process (SIGBUS): files are replaced, as write_file_atomic() does, never rewritten in
// place.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);  // throws as read_file()
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// A mapped file or a part of one (an archive's entry), which keeps the mapping alive. Cheap to copy.
struct MappedBytes {
  std::shared_ptr<const MappedFile> map;
  std::span<const std::byte> bytes;
  std::string name;  // for messages: "net.safetensors", "cam.dsnb: lut.json"

  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

// Throws as MappedFile().
[[nodiscard]] MappedBytes map_file(const fs::path& path);

}  // namespace dsn

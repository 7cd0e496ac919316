// SPDX-License-Identifier: Apache-2.0
#include "dsn/core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/posix_file.h"

namespace dsn {

Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

int Descriptor::close() noexcept {
  return ::close(std::exchange(fd_, -1));
}

void throw_errno(int error, std::string_view verb, const fs::path& path) {
  const std::string message =
      fmt::format("cannot {} {}: {}", verb, path.string(), std::generic_category().message(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      throw Error(ErrorCode::not_found, message, verb == "write" ? "make the folder first" : "");
    case EACCES:
    case EPERM:
      throw Error(ErrorCode::permission, message);
    case EISDIR:
      throw Error(ErrorCode::bad_input, message, "name a file, not a folder");
    case ENOSPC:
    case EDQUOT:
      throw Error(ErrorCode::io, message, "free space there, or write somewhere else");
    default:
      throw Error(ErrorCode::io, message);
  }
}

Descriptor open_to_read(const fs::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw_errno(errno, "read", path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw_errno(errno, "read", path);
  if (S_ISDIR(info.st_mode)) throw_errno(EISDIR, "read", path);
  return file;
}

std::size_t read_some(const Descriptor& file, std::span<std::byte> buffer, const fs::path& path) {
  for (;;) {
    const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) throw_errno(errno, "read", path);
  }
}

std::string read_file(const fs::path& path) {
  const Descriptor file = open_to_read(path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw_errno(errno, "read", path);
  // The size is only a guess: pipes and files under /proc have none, and a file may grow while it is read.
  constexpr std::size_t kChunk = std::size_t{1} << 16;
  std::string content(static_cast<std::size_t>(info.st_size) + 1, '\0');
  std::size_t size = 0;
  while (const std::size_t n =
             read_some(file, std::as_writable_bytes(std::span(content).subspan(size)), path)) {
    size += n;
    if (size == content.size()) content.resize(size + std::max(size / 2, kChunk));
  }
  content.resize(size);
  return content;
}

MappedFile::MappedFile(const fs::path& path) {
  const Descriptor file = open_to_read(path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw_errno(errno, "read", path);
  if (!S_ISREG(info.st_mode))
    throw Error(ErrorCode::bad_input, fmt::format("cannot map {}: not a regular file", path.string()));
  if (info.st_size == 0) return;  // mmap() refuses a length of 0
  const auto size = static_cast<std::size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) throw_errno(errno, "map", path);
  data_ = static_cast<const std::byte*>(data);
  size_ = size;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedBytes map_file(const fs::path& path) {
  const auto map = std::make_shared<const MappedFile>(path);
  return {map, map->bytes(), path.string()};
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/posix_file.h"

namespace dsn {
namespace {

constexpr mode_t kNewFileMode = 0666;  // less the umask

// What writing to a path means, found before anything is opened.
struct Target {
  fs::path path;        // symbolic links followed: the file behind one is replaced, not the link
  bool stream = false;  // a device or pipe: written directly, since renaming over it would destroy it
  mode_t mode = 0;      // of the file that is there, 0 if none
};

Target find_target(const fs::path& path) {
  Target target{path};
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) throw_errno(EISDIR, "write", path);
    target.stream = !S_ISREG(info.st_mode);
    target.mode = info.st_mode & 07777;
    std::error_code error;
    if (const fs::path real = fs::canonical(path, error); !error) target.path = real;
  } else if (errno != ENOENT) {
    throw_errno(errno, "write", path);
  }
  return target;
}

fs::path temporary_beside(const fs::path& path) {
  fs::path temporary = path;
  temporary += ".tmp";
  return temporary;
}

// Buffers what `fill` appends: tensors come in large pieces, log lines in small ones.
class BufferedWriter {
 public:
  BufferedWriter(const Descriptor& file, const fs::path& shown) : file_(file), shown_(shown) {}

  void append(std::span<const std::byte> bytes) {
    if (buffer_.size() + bytes.size() > kCapacity) flush();
    if (bytes.size() >= kCapacity) {
      write_all(bytes);
    } else {
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    }
  }

  void flush() {
    write_all(buffer_);
    buffer_.clear();
  }

 private:
  static constexpr std::size_t kCapacity = std::size_t{1} << 16;

  void write_all(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw_errno(errno, "write", shown_);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }

  const Descriptor& file_;
  const fs::path& shown_;
  std::vector<std::byte> buffer_;
};

void fill_file(const Descriptor& file, const fs::path& shown,
               const std::function<void(const ByteSink&)>& fill) {
  BufferedWriter writer(file, shown);
  fill([&writer](std::span<const std::byte> bytes) { writer.append(bytes); });
  writer.flush();
}

// Removes the temporary file unless it was renamed.
class TemporaryGuard {
 public:
  explicit TemporaryGuard(fs::path path) : path_(std::move(path)) {}
  TemporaryGuard(const TemporaryGuard&) = delete;
  TemporaryGuard& operator=(const TemporaryGuard&) = delete;
  ~TemporaryGuard() {
    if (armed_) ::unlink(path_.c_str());
  }
  void disarm() noexcept { armed_ = false; }

 private:
  fs::path path_;
  bool armed_ = true;
};

fs::path folder_of(const fs::path& path) {
  const fs::path parent = path.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

// The rename is only on disk once the folder is. Best effort: the content is complete either way, and some
// file systems cannot sync a folder.
void sync_folder(const fs::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() >= 0) ::fsync(descriptor.get());
}

}  // namespace

void write_file_atomic(const fs::path& path, const std::function<void(const ByteSink&)>& fill) {
  const Target target = find_target(path);
  if (target.stream) {
    Descriptor file(::open(target.path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.get() < 0) throw_errno(errno, "write", path);
    fill_file(file, path, fill);
    if (file.close() != 0) throw_errno(errno, "write", path);
    return;
  }
  const fs::path temporary = temporary_beside(target.path);
  Descriptor file(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, kNewFileMode));
  if (file.get() < 0) throw_errno(errno, "write", path);
  TemporaryGuard guard(temporary);
  if (target.mode != 0 && ::fchmod(file.get(), target.mode) != 0) throw_errno(errno, "write", path);
  fill_file(file, path, fill);
  if (::fsync(file.get()) != 0) throw_errno(errno, "write", path);
  if (file.close() != 0) throw_errno(errno, "write", path);
  if (::rename(temporary.c_str(), target.path.c_str()) != 0) throw_errno(errno, "write", path);
  guard.disarm();
  sync_folder(folder_of(target.path));
}

void write_file_atomic(const fs::path& path, std::string_view content) {
  write_file_atomic(path, [content](const ByteSink& sink) {
    sink(std::as_bytes(std::span(content.data(), content.size())));
  });
}

void check_writable(const fs::path& path) {
  const Target target = find_target(path);
  if (target.stream) {
    if (::access(target.path.c_str(), W_OK) != 0) throw_errno(errno, "write", path);
    return;
  }
  // Asking the file system itself is the only sure answer: it knows read-only mounts, quotas and ACLs. An
  // existing .tmp may belong to a writer at work: it is left alone.
  const fs::path temporary = temporary_beside(target.path);
  const Descriptor made(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kNewFileMode));
  if (made.get() >= 0) {
    ::unlink(temporary.c_str());
  } else if (errno != EEXIST) {
    throw_errno(errno, "write", path);
  } else if (::access(temporary.c_str(), W_OK) != 0) {
    throw_errno(errno, "write", temporary);
  }
}

}  // namespace dsn

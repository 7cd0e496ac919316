// SPDX-License-Identifier: Apache-2.0
#include "cli/json_lines.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "dsn/core/error.h"

namespace dsn::cli {
namespace {

std::string reason_text(int reason) {
  return std::generic_category().message(reason);
}

}  // namespace

JsonLines::JsonLines(const fs::path& path, Framing framing)
    : path_(path),
      framing_(framing),
      descriptor_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
  if (descriptor_ >= 0) return;
  const int reason = errno;
  const bool denied = reason == EACCES || reason == EROFS || reason == EPERM;
  throw Error(denied ? ErrorCode::permission : ErrorCode::io,
              fmt::format("cannot create {}: {}", path.string(), reason_text(reason)));
}

JsonLines::~JsonLines() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool JsonLines::put(const std::string& text) noexcept {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = write(descriptor_, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      fail(errno);
      return false;
    }
    done += static_cast<std::size_t>(written);
  }
  whole_bytes_ += static_cast<std::int64_t>(text.size());
  return true;
}

void JsonLines::add(const Json& line) noexcept {
  if (failure_ != 0 || descriptor_ < 0) return;
  try {
    const std::string text = line.dump();
    const bool first = lines_ == 0;
    if (put(framing_ == Framing::lines ? text + '\n' : (first ? "[\n" : ",\n") + text)) ++lines_;
  } catch (const std::exception&) {
    fail(ENOMEM);
  }
}

void JsonLines::fail(int reason) noexcept {
  failure_ = reason;
  // Fails for a pipe or a device, which keep nothing.
  const int ignored = ftruncate(descriptor_, whole_bytes_);
  static_cast<void>(ignored);
  lseek(descriptor_, whole_bytes_, SEEK_SET);
}

void JsonLines::close() {
  // A full disk may still have room for the end of what was written.
  const int failed = failure_;
  if (framing_ == Framing::array && descriptor_ >= 0) (void)put(lines_ == 0 ? "[\n]\n" : "\n]\n");
  if (failed != 0) failure_ = failed;
  if (descriptor_ >= 0 && ::close(descriptor_) != 0 && failure_ == 0) failure_ = errno;
  descriptor_ = -1;
  if (failure_ == 0) return;
  throw Error(ErrorCode::io, fmt::format("{}: cannot write: {}; the log ends after {} lines", path_.string(),
                                         reason_text(failure_), lines_));
}

}  // namespace dsn::cli

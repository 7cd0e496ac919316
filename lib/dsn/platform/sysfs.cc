// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/sysfs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <system_error>

#include "dsn/core/posix_file.h"

namespace dsn::sysfs {

namespace {

// Returns 0 or errno; `size` is how much of `buffer` was filled.
int read_into(const Descriptor& fd, char* buffer, std::size_t capacity, std::size_t& size) noexcept {
  size = 0;
  while (size < capacity) {
    const ssize_t got = ::read(fd.get(), buffer + size, capacity - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  return 0;
}

template <typename Number>
int read_as(const std::string& file, Number& value) noexcept {
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return errno;
  std::array<char, 64> buffer;
  std::size_t size = 0;
  if (const int error = read_into(fd, buffer.data(), buffer.size(), size); error != 0) return error;
  const auto [end, status] = std::from_chars(buffer.data(), buffer.data() + size, value);
  return status == std::errc() ? 0 : EINVAL;
}

}  // namespace

std::filesystem::path under(const std::filesystem::path& root, std::string_view relative) {
  return (root.empty() ? std::filesystem::path("/") : root) / relative;
}

int read_text(const std::string& file, std::string& text) {
  text.clear();
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return errno;
  std::array<char, 4096> chunk;
  for (;;) {
    std::size_t size = 0;
    if (const int error = read_into(fd, chunk.data(), chunk.size(), size); error != 0) {
      text.clear();
      return error;
    }
    text.append(chunk.data(), size);
    if (size < chunk.size()) break;
  }
  // Device-tree strings end in a NUL.
  text.erase(text.find_last_not_of(std::string_view(" \t\r\n\0", 5)) + 1);
  return 0;
}

int read_number(const std::string& file, std::int64_t& value) noexcept {
  return read_as(file, value);
}

int read_decimal(const std::string& file, double& value) noexcept {
  const int error = read_as(file, value);
  return error == 0 && !std::isfinite(value) ? EINVAL : error;
}

int write_text(const std::string& file, std::string_view text) noexcept {
  // sysfs ignores O_TRUNC; plain files of a test need it.
  const Descriptor fd(::open(file.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (fd.get() < 0) return errno;
  for (;;) {
    const ssize_t put = ::write(fd.get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    // A kernel file takes a value whole or not at all.
    return static_cast<std::size_t>(put) == text.size() ? 0 : EIO;
  }
}

int write_number(const std::string& file, std::int64_t value) noexcept {
  std::array<char, 24> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return write_text(file, {buffer.data(), static_cast<std::size_t>(end - buffer.data())});
}

std::vector<int> parse_cpu_list(std::string_view text) {
  std::vector<int> cpus;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int first = 0;
    const auto number = std::from_chars(at, end, first);
    if (number.ec != std::errc() || first < 0) {
      ++at;
      continue;
    }
    at = number.ptr;
    int last = first;
    if (at < end && *at == '-') {
      const auto upper = std::from_chars(at + 1, end, last);
      at = upper.ec == std::errc() ? upper.ptr : at + 1;
    }
    // A corrupt range must not fill the memory; no kernel has more CPUs than this.
    for (int cpu = first; cpu <= std::min(last, first + 65535); ++cpu) cpus.push_back(cpu);
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

Error knob_error(int error, const std::string& action, const std::string& file, KnobKind kind) {
  const auto make = [&](ErrorCode code, const std::string& reason, std::string hint) {
    return Error(code, fmt::format("{}: {} ({})", action, reason, file), std::move(hint));
  };
  const bool cpu = kind == KnobKind::cpufreq;
  switch (error) {
    case EACCES:
    case EPERM:
      return make(ErrorCode::permission, "permission denied",
                  "run as root, give this user write access to the file, or leave frequencies to the kernel");
    case EROFS:
      return make(ErrorCode::unsupported, "read-only file system",
                  "/sys is mounted read-only, as in most containers: run on the host, or with /sys writable");
    case ENOENT:
    case ENODEV:
      return make(ErrorCode::unsupported,
                  error == ENOENT ? "no such file"
                                  : fmt::format("the {} driver is gone", cpu ? "cpufreq" : "devfreq"),
                  fmt::format("load a {} driver, or correct \"knob\" in the platform file: it names {} of "
                              "another machine",
                              cpu ? "cpufreq" : "devfreq", cpu ? "policies" : "a device"));
    case EBUSY:
      return make(ErrorCode::unsupported,
                  cpu ? "every CPU of this policy is offline" : "the device is busy or suspended",
                  cpu ? "bring one of them online (/sys/devices/system/cpu/cpuN/online), or leave the policy "
                        "out of \"knob\""
                      : "wake the device (its power/control: on), or leave this cluster to its governor");
    case EINVAL:
      return make(ErrorCode::unsupported, "the kernel refused the value",
                  cpu ? "scaling_available_governors and scaling_available_frequencies beside it say what "
                        "this driver takes"
                      : "available_governors and available_frequencies beside it say what this driver takes");
    default:
      return make(ErrorCode::io, std::generic_category().message(error), "");
  }
}

}  // namespace dsn::sysfs

// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/affinity.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "dsn/core/error.h"

namespace dsn {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const noexcept { closedir(dir); }
};

constexpr std::size_t kNameSize = 16;  // of the kernel, with the final zero

bool has_name(std::string_view thread, std::string_view name) noexcept {
  std::array<char, 64> path{};
  const std::string_view before = "/proc/self/task/", after = "/comm";
  char* end = std::copy(before.begin(), before.end(), path.begin());
  end = std::copy(thread.begin(), thread.end(), end);
  std::copy(after.begin(), after.end(), end);
  const int file = open(path.data(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  std::array<char, kNameSize + 1> found{};
  const ssize_t size = read(file, found.data(), found.size());
  close(file);
  return size > 0 && std::string_view(found.data(), static_cast<std::size_t>(size) - 1) == name;
}

// 0, or the error of the first thread that could not be moved. A thread that ended meanwhile is none.
int set_threads(const cpu_set_t& cpus, std::string_view named) noexcept {
  const std::unique_ptr<DIR, CloseDir> tasks(opendir("/proc/self/task"));
  if (!tasks) return sched_setaffinity(0, sizeof cpus, &cpus) == 0 ? 0 : errno;
  int error = 0;
  while (const dirent* entry = readdir(tasks.get())) {
    const std::string_view name(entry->d_name);
    pid_t thread = 0;
    std::from_chars(name.data(), name.data() + name.size(), thread);
    if (thread <= 0 || name.size() > 20 || (!named.empty() && !has_name(name, named))) continue;
    if (sched_setaffinity(thread, sizeof cpus, &cpus) != 0 && errno != ESRCH && error == 0) error = errno;
  }
  return error;
}

}  // namespace

void name_thread(const std::string& name) noexcept {
  std::array<char, kNameSize> text{};
  std::copy_n(name.begin(), std::min(name.size(), kNameSize - 1), text.begin());
  prctl(PR_SET_NAME, text.data());
}

ProcessAffinity::ProcessAffinity(std::string named) noexcept : named_(std::move(named)) {
  named_.resize(std::min(named_.size(), kNameSize - 1));
  sched_getaffinity(0, sizeof saved_, &saved_);
}

ProcessAffinity::~ProcessAffinity() {
  release();
}

void ProcessAffinity::release() noexcept {
  if (bound_) set_threads(saved_, named_);
  bound_ = false;
}

void ProcessAffinity::bind(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus)
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(static_cast<std::size_t>(cpu), &set);
  bound_ = true;
  if (const int error = set_threads(set, named_); error != 0) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot run on CPUs {}: {}", fmt::join(cpus, ","), std::strerror(error)),
                "bring them online, or leave this cluster out of the LUT");
  }
}

}  // namespace dsn

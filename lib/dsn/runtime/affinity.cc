// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/affinity.h"

#include <dirent.h>
#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

#include "dsn/core/error.h"

namespace dsn {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const noexcept { closedir(dir); }
};

// 0, or the error of the first thread that could not be moved. A thread that ended meanwhile is none.
int set_all_threads(const cpu_set_t& cpus) noexcept {
  const std::unique_ptr<DIR, CloseDir> tasks(opendir("/proc/self/task"));
  if (!tasks) return sched_setaffinity(0, sizeof cpus, &cpus) == 0 ? 0 : errno;
  int error = 0;
  while (const dirent* entry = readdir(tasks.get())) {
    const std::string_view name(entry->d_name);
    pid_t thread = 0;
    std::from_chars(name.data(), name.data() + name.size(), thread);
    if (thread <= 0) continue;
    if (sched_setaffinity(thread, sizeof cpus, &cpus) != 0 && errno != ESRCH && error == 0) error = errno;
  }
  return error;
}

}  // namespace

ProcessAffinity::ProcessAffinity() noexcept {
  sched_getaffinity(0, sizeof saved_, &saved_);
}

ProcessAffinity::~ProcessAffinity() {
  if (bound_) set_all_threads(saved_);
}

void ProcessAffinity::bind(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus)
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(static_cast<std::size_t>(cpu), &set);
  bound_ = true;
  if (const int error = set_all_threads(set); error != 0) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot run on CPUs {}: {}", fmt::join(cpus, ","), std::strerror(error)),
                "bring them online, or leave this cluster out of the LUT");
  }
}

}  // namespace dsn

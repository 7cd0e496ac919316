// SPDX-License-Identifier: Apache-2.0
// Where this process may run: what makes a placement on one of several CPU clusters true.
#pragma once

#include <sched.h>

#include <vector>

namespace dsn {

// Restricts every thread of this process to some CPUs, and puts back what the calling thread was allowed when
// it is destroyed. Threads made later inherit from the thread that makes them. thread-bound.
class ProcessAffinity {
 public:
  ProcessAffinity() noexcept;
  ~ProcessAffinity();
  ProcessAffinity(const ProcessAffinity&) = delete;
  ProcessAffinity& operator=(const ProcessAffinity&) = delete;
  // Throws Error{unsupported} naming the CPUs when the kernel refuses (offline, or outside the cpuset).
  void bind(const std::vector<int>& cpus);

 private:
  cpu_set_t saved_{};
  bool bound_ = false;
};

}  // namespace dsn

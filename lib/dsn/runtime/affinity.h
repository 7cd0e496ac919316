// SPDX-License-Identifier: Apache-2.0
// Where this process may run: what makes a placement on one of several CPU clusters true.
#pragma once

#include <sched.h>

#include <string>
#include <vector>

namespace dsn {

// Names the calling thread, and so every thread that it makes from then on, unless they name themselves.
// At most 15 characters; the rest is cut off.
void name_thread(const std::string& name) noexcept;

// Restricts threads of this process to some CPUs, and puts back what the calling thread was allowed when it
// is destroyed. Threads made later inherit from the thread that makes them. thread-bound.
class ProcessAffinity {
 public:
  // named: only threads of that name (name_thread()), so those of one application among several; empty: all.
  explicit ProcessAffinity(std::string named = {}) noexcept;
  ~ProcessAffinity();
  ProcessAffinity(const ProcessAffinity&) = delete;
  ProcessAffinity& operator=(const ProcessAffinity&) = delete;
  // Throws Error{unsupported} naming the CPUs when the kernel refuses (offline, or outside the cpuset).
  void bind(const std::vector<int>& cpus);
  // What it was allowed at first.
  void release() noexcept;

 private:
  std::string named_;
  cpu_set_t saved_{};
  bool bound_ = false;
};

}  // namespace dsn

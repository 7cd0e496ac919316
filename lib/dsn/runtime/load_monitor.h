// SPDX-License-Identifier: Apache-2.0
// How busy other work keeps the CPU: tells the manager when load has gone, which its own latencies may not
// show.
#pragma once

#include <memory>
#include <vector>

#include "dsn/core/file.h"
#include "dsn/platform/platform.h"

namespace dsn {

class LoadMonitor {
 public:
  virtual ~LoadMonitor() = default;
  // Reads what there is to read, if the last reading is old enough. now_s: of the live loop's clock.
  // Allocates nothing.
  virtual void poll(double now_s) noexcept = 0;
  // As ClusterView::others_load; below 0 when unknown.
  [[nodiscard]] virtual double others_load(std::size_t cluster) const noexcept = 0;
};

// From the kernel's per-CPU times (proc_stat(5)) over a quarter of a second (the first time, a twentieth),
// less this process's own. Of a machine where that file cannot be read, of GPUs, and of one CPU cluster among
// several, the load is unknown. thread-bound.
[[nodiscard]] std::unique_ptr<LoadMonitor> make_load_monitor(const Platform& platform,
                                                             const fs::path& root = {});

}  // namespace dsn

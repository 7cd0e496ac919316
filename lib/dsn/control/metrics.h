// SPDX-License-Identifier: Apache-2.0
// A run's state for Prometheus: text exposition format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats), as the node exporter's textfile collector
// takes it.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "dsn/control/background.h"
#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/runtime/run_state.h"

namespace dsn {

// Every metric with its help and type. Base units in the names; what is unknown is left out. Labels: app,
// cluster.
[[nodiscard]] std::string metrics_text(const RunDescription& description, const RunState& state);

// The same of what `board` says, in a file that is replaced as a whole every second while this lives, and
// once more at the end. A write that fails is tried again a second later.
class MetricsFile {
 public:
  // Throws as check_writable(). `board` must outlive it.
  MetricsFile(fs::path path, const RunBoard& board, double period_s = 1);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;
  // Writes for the last time.
  void close() noexcept;
  // Why the last write failed; nothing when it did not. thread-safe.
  [[nodiscard]] std::optional<Error> failure() const;

 private:
  void write() noexcept;
  fs::path path_;
  const RunBoard& board_;
  mutable std::mutex mutex_;
  std::optional<Error> failure_;
  std::optional<Background> writer_;
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// What importers share: lines of text files, and arrivals made into a trace. Internal to replay.
#pragma once

#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/replay/trace_import.h"

namespace dsn {

// Reads a text file line by line, however large. Lines are bounded.
class Lines {
 public:
  static constexpr std::size_t kLongest = 1 << 20;

  explicit Lines(const fs::path& path);  // throws Error{not_found | io}
  // False at the end. Throws Error{bad_input} for a line that is too long.
  bool next(std::string& line);
  [[noreturn]] void fail(const std::string& found_and_expected) const;
  [[nodiscard]] std::int64_t number() const noexcept { return number_; }

 private:
  std::string file_;
  std::ifstream in_;
  std::int64_t number_ = 0;
};

// Cells of a line of comma-separated values; quotes around a cell are taken off.
[[nodiscard]] std::vector<std::string_view> cells_of(std::string_view line);
// A finite number, or fails at `lines` with `what`.
[[nodiscard]] double number_in(std::string_view cell, const Lines& lines, std::string_view what);
// Column of the header that has this name, or -1.
[[nodiscard]] int column_of(const std::vector<std::string_view>& header, std::string_view name);

struct Arrived {
  double at_s = 0;
  double target_s = 0;  // 0: the options'
  double factor = 0;    // 0: none
};
using ArrivedTasks = std::map<std::string, std::vector<Arrived>>;

// Refuses one arrival more than kMaxImported.
void check_count(std::size_t count, const std::string& file);

// Compresses, thins, sorts, moves the first arrival to 0, and writes the trace. `length_s` (before
// compression): 0 is up to the last arrival and one mean gap.
[[nodiscard]] Json arrivals_trace(ArrivedTasks tasks, double length_s, const ImportOptions& options,
                                  const std::string& file, std::vector<std::string> warnings);

// The envelope and "global" of a trace without tasks.
[[nodiscard]] Json trace_frame(double duration_s, const ImportOptions& options,
                               const std::vector<std::string>& warnings);
// A task of kind app without phases.
[[nodiscard]] Json app_task(const ImportOptions& options);

[[nodiscard]] Json import_csv(const fs::path& path, const ImportOptions& options);
[[nodiscard]] Json import_azure2019(const fs::path& path, const ImportOptions& options);
[[nodiscard]] Json import_azure2021(const fs::path& path, const ImportOptions& options);
[[nodiscard]] Json import_loadgen(const fs::path& path, const ImportOptions& options);
[[nodiscard]] Json import_rt_app(const fs::path& path, const ImportOptions& options);
[[nodiscard]] Json import_run_log(const fs::path& path, const ImportOptions& options);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Reads and writes of small kernel files that keep errno, and what each errno means for frequencies.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/core/error.h"

namespace dsn::sysfs {

// `root` is the real file system when empty, else a folder that looks like one (tests).
[[nodiscard]] std::filesystem::path under(const std::filesystem::path& root, std::string_view relative);

// Whole text of a small file, trailing white space cut. Returns 0 or errno; `text` is empty on errors.
[[nodiscard]] int read_text(const std::string& file, std::string& text);
// The decimal number a file starts with. Returns 0 or errno; EINVAL when it holds something else
// ("<unsupported>"). No allocation.
[[nodiscard]] int read_number(const std::string& file, std::int64_t& value) noexcept;
// The same for a number with decimals.
[[nodiscard]] int read_decimal(const std::string& file, double& value) noexcept;
// One write(2) of `text`. Returns 0 or errno: the kernel reports a refused value here, and only here.
[[nodiscard]] int write_text(const std::string& file, std::string_view text) noexcept;
[[nodiscard]] int write_number(const std::string& file, std::int64_t value) noexcept;

// "0-3,6" -> 0 1 2 3 6; also space separated, as cpufreq writes it. What is no number is left out.
[[nodiscard]] std::vector<int> parse_cpu_list(std::string_view text);

// Who the kernel lets set a frequency: its names and units differ, its errors do not.
enum class KnobKind { cpufreq, devfreq };

// What an errno of a frequency knob's file means and how to mend it: "cannot set policy4 to 1.50 GHz:
// permission denied (/sys/.../policy4/scaling_setspeed)". EACCES, EPERM: permission; EROFS, ENOENT, ENODEV,
// EBUSY, EINVAL: unsupported, each with its own advice; others: io.
[[nodiscard]] Error knob_error(int error, const std::string& action, const std::string& file, KnobKind kind);

}  // namespace dsn::sysfs

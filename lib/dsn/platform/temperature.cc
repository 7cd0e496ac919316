// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/temperature.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "dsn/platform/sysfs.h"

namespace dsn {

std::function<std::optional<double>()> thermal_reader(const fs::path& root) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator it(sysfs::under(root, "sys/class/thermal"), error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename().string().starts_with("thermal_zone")) files.push_back(it->path() / "temp");
  }
  if (files.empty()) return {};
  return [files = std::move(files)]() -> std::optional<double> {
    std::optional<double> hottest;
    for (const std::string& file : files) {
      std::int64_t milli_c = 0;
      if (sysfs::read_number(file, milli_c) != 0) continue;
      hottest = std::max(hottest.value_or(-274), static_cast<double>(milli_c) * 1e-3);
    }
    return hottest;
  };
}

}  // namespace dsn

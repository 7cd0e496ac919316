// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/repeatability.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "dsn/core/error.h"
#include "dsn/core/stats.h"

namespace dsn {
namespace {

void require_same(const char* what, const std::string& before, const std::string& now) {
  if (before == now) return;
  throw Error(ErrorCode::mismatch,
              fmt::format("these look-up tables cannot be compared: {} is {} in one and {} in the other",
                          what, before, now));
}

double own_speed(const Lut& lut, const OperatingPoint& point) {
  const auto found = lut.speeds.find(point);
  return found == lut.speeds.end() ? 0 : found->second.own_per_s;
}

}  // namespace

std::vector<LutDifference> compare_luts(const Lut& before, const Lut& now,
                                        std::span<const SubnetConfig> configs) {
  require_same("space_sha256", before.space_sha256, now.space_sha256);
  require_same("platform_sha256", before.platform_sha256, now.platform_sha256);
  require_same("engine", before.engine, now.engine);
  std::vector<LutDifference> differences;
  for (const OperatingPoint& point : now.points()) {
    std::vector<double> changes;
    LutDifference difference;
    difference.point = point;
    for (const LutLevel& level : now.levels) {
      const bool wanted =
          configs.empty() || std::find(configs.begin(), configs.end(), level.config) != configs.end();
      const LutEntry *first = before.level_entry(level.config, point),
                     *second = now.level_entry(level.config, point);
      if (!wanted || first == nullptr || second == nullptr) continue;
      changes.push_back(second->latency_s / first->latency_s - 1);
      if (std::abs(changes.back()) > std::abs(difference.largest)) difference.largest = changes.back();
    }
    if (changes.empty()) continue;
    difference.levels = static_cast<int>(changes.size());
    difference.median = median(changes);
    const double speed_before = own_speed(before, point), speed_now = own_speed(now, point);
    if (speed_before > 0 && speed_now > 0) difference.speed_ratio = speed_now / speed_before;
    differences.push_back(difference);
  }
  return differences;
}

Json to_json(const std::vector<LutDifference>& differences) {
  Json rows = Json::array();
  for (const LutDifference& difference : differences) {
    rows.push_back({{"point", describe(difference.point)},
                    {"levels", difference.levels},
                    {"median", difference.median},
                    {"largest", difference.largest}});
    if (difference.speed_ratio > 0) rows.back()["speed_ratio"] = difference.speed_ratio;
  }
  return rows;
}

}  // namespace dsn

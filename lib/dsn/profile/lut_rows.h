// SPDX-License-Identifier: Apache-2.0
// Rows of a LUT as JSON. Inner header of profile.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "dsn/profile/lut.h"

namespace dsn {

// In files, entries name their operating point (and load) by its index in a sorted list.
[[nodiscard]] Json rows_to_json(const std::map<OperatingPoint, LutEntry>& at,
                                const std::vector<OperatingPoint>& points, bool with_energy);
[[nodiscard]] Json rows_to_json(const std::map<std::pair<OperatingPoint, CoLoad>, LutEntry>& beside,
                                const std::vector<OperatingPoint>& points, const std::vector<CoLoad>& loads);
[[nodiscard]] std::map<OperatingPoint, LutEntry> rows_from_json(const JsonView& rows,
                                                                const std::vector<OperatingPoint>& points);
[[nodiscard]] std::map<std::pair<OperatingPoint, CoLoad>, LutEntry> rows_from_json(
    const JsonView& rows, const std::vector<OperatingPoint>& points, const std::vector<CoLoad>& loads);

[[nodiscard]] Json point_to_json(const OperatingPoint& point);
[[nodiscard]] OperatingPoint point_from_json(const JsonView& json, const Platform& platform);
[[nodiscard]] Json to_json(const Lut::Correction& fit);
[[nodiscard]] Lut::Correction correction_from_json(const JsonView& json);
[[nodiscard]] Json to_json(const Lut::Speed& speed);
[[nodiscard]] Lut::Speed speed_from_json(const JsonView& json);
[[nodiscard]] Json to_json(const CoLoad& load);
[[nodiscard]] CoLoad load_from_json(const JsonView& json);
// Of all levels, sorted.
[[nodiscard]] std::vector<CoLoad> all_loads(const std::vector<LutLevel>& levels);

}  // namespace dsn

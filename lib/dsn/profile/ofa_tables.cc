// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/ofa_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/profile/measure.h"

namespace dsn {
namespace {

constexpr double kMostMs = 1e9;
constexpr int kMostCount = 1 << 30;
constexpr double kMadOfStd = 0.6745;  // of a normal distribution

// The rows that one unit is the sum of.
std::vector<std::string> signatures(const Unit& u) {
  const std::string shape = fmt::format("input:{0}x{0}x{1}-output:{2}x{2}x{3}", u.in_size, u.in_channels,
                                        u.out_size, u.out_channels);
  switch (u.kind) {
    case UnitKind::stem:
      return {"Conv-" + shape};
    case UnitKind::mbconv:
      return {fmt::format("expanded_conv-{}-expand:{}-kernel:{}-stride:{}-idskip:{}-se:{}-hs:{}", shape,
                          u.mid_channels, u.kernel, u.stride, int{u.residual}, int{u.se_channels > 0},
                          int{u.act == Activation::hswish})};
    case UnitKind::final_expand:
      return {"Conv_1-" + shape};
    case UnitKind::feature_mix:
      return {fmt::format("AvgPool2D-input:{0}x{0}x{1}-output:1x1x{1}", u.in_size, u.in_channels),
              fmt::format("Conv_2-input:1x1x{}-output:1x1x{}", u.in_channels, u.out_channels)};
    case UnitKind::classifier:
      return {fmt::format("Logits-input:1x1x{}-output:{}", u.in_channels, u.out_channels)};
    case UnitKind::stem_residual:
    case UnitKind::stem_pool:
    case UnitKind::bottleneck:
      break;
  }
  throw Error(ErrorCode::mismatch, fmt::format("unit {}: Once-for-All's tables have no such block", u.key()),
              "these tables are of MobileNetV3 spaces, like ofa-mbv3");
}

class Import {
 public:
  Import(const JsonView& tables, const SearchSpace& space, const Platform& platform, OperatingPoint point)
      : tables_(tables), space_(space), point_(std::move(point)) {
    result_.lut = start_lut(space, platform, "published: not stated", platform.name);
    result_.lut.energy_reason = "the tables have latency only";
  }

  OfaTables run() {
    std::set<std::string> known;
    for (const int resolution : space_.resolutions()) {
      const std::string r = std::to_string(resolution);
      known.insert(r);
      if (tables_.has(r)) {
        read_table(r, resolution);
      } else {
        result_.missing.push_back(fmt::format("r{}: no table", r));
      }
    }
    for (const auto& [r, table] : tables_.json().items()) {
      if (known.count(r) == 0)
        result_.unused.push_back(fmt::format("table {}: not a resolution of the space", r));
    }
    place_entries();
    if (result_.lut.units.empty()) {
      tables_.fail(fmt::format("rows of space \"{}\" at width {}", space_.name(), space_.width_mult()));
    }
    return std::move(result_);
  }

 private:
  void read_table(const std::string& r, int resolution) {
    const JsonView table = tables_[r];
    std::set<std::string> used;
    const MostChoices most = most_choices(space_);
    for (std::size_t e = 0; e < most.expand; ++e) {
      for (std::size_t k = 0; k < most.kernel; ++k) {
        const SubnetConfig config = uniform_config(space_, resolution, e, k);
        for (const Unit& unit : make_network(space_, config).units) {
          if (seen_.emplace(unit.key(), resolution).second) add(unit, table, resolution, used);
        }
      }
    }
    for (const auto& [signature, row] : table.json().items()) {
      if (used.count(signature) == 0) result_.unused.push_back(fmt::format("r{}: {}", r, signature));
    }
  }

  void add(const Unit& unit, const JsonView& table, int resolution, std::set<std::string>& used) {
    LutEntry entry;
    entry.latency_origin = Origin::published;
    entry.samples = kMostCount;
    double variance = 0;
    bool whole = true;
    for (const std::string& signature : signatures(unit)) {
      if (!table.has(signature)) {
        result_.missing.push_back(fmt::format("r{}: {}", resolution, signature));
        whole = false;
        continue;
      }
      used.insert(signature);
      const JsonView row = table[signature];
      const double mean_ms = row["mean"].number(0, kMostMs);
      if (mean_ms <= 0) row["mean"].fail("milliseconds above 0");
      entry.latency_s += mean_ms * 1e-3;
      const double std_ms = row.has("std") ? row["std"].number(0, kMostMs) : 0;
      variance += std_ms * std_ms * 1e-6;
      const int count = row.has("count") ? static_cast<int>(row["count"].integer(1, kMostCount)) : 0;
      entry.samples = std::min(entry.samples, count);
    }
    if (!whole) return;
    entry.mad_s = kMadOfStd * std::sqrt(variance);
    entries_[unit.key()][resolution] = entry;
  }

  // A unit that several tables have (the classifier; late blocks, where sizes round to the same) was measured
  // in each, with another result: all are kept.
  void place_entries() {
    for (const auto& [key, at] : entries_) {
      for (const auto& [resolution, entry] : at) {
        const std::string row = at.size() == 1 ? key : unit_key_at(key, resolution);
        result_.lut.units[row][point_] = entry;
      }
    }
  }

  JsonView tables_;
  const SearchSpace& space_;
  std::set<std::pair<std::string, int>> seen_;  // units, by key and resolution
  std::map<std::string, std::map<int, LutEntry>> entries_;
  OperatingPoint point_;
  OfaTables result_;
};

}  // namespace

OfaTables import_ofa_tables(const Json& document, const std::string& file, const SearchSpace& space,
                            const Platform& platform, const OperatingPoint& point) {
  static_cast<void>(platform.cluster_index(point.cluster));
  const JsonView json(document, file);
  const JsonView tables = json["tables"];
  if (!tables.json().is_object()) tables.fail("an object of tables by resolution");
  OfaTables result = Import(tables, space, platform, point).run();
  if (json.has("what")) result.what = json["what"].text();
  return result;
}

Platform bare_platform(const std::string& name, const std::string& source) {
  const Json cluster = {{"name", "device"},
                        {"kind", "gpu"},
                        {"frequencies", {{"origin", "published"}, {"source", source}}},
                        {"opps", {{{"freq_hz", nullptr}, {"freq_hz_reason", "not stated"}}}}};
  const Json document = {{"schema", "dsn.platform"},
                         {"schema_version", 1},
                         {"name", name},
                         {"clusters", Json::array({cluster})}};
  return parse_platform(document, "bare platform");
}

}  // namespace dsn

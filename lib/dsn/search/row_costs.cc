// SPDX-License-Identifier: Apache-2.0
#include "dsn/search/row_costs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/platform/power.h"

namespace dsn {
namespace {

constexpr std::int64_t kBytes = 4;

UnitSums::Options correction_at(const Lut& lut, const OperatingPoint& point) {
  const auto fit = lut.corrections.find(point);
  if (fit == lut.corrections.end()) return {};
  return {fit->second.scale, fit->second.offset_s};
}

// The largest of several functions.
class Worst : public RowFunction {
 public:
  explicit Worst(const std::vector<std::unique_ptr<RowFunction>>& of) : of_(of) {}
  void values(const Gene* rows, std::size_t count, double* out) const override {
    of_.front()->values(rows, count, out);
    std::vector<double> other(of_.size() > 1 ? count : 0);
    for (std::size_t p = 1; p < of_.size(); ++p) {
      of_[p]->values(rows, count, other.data());
      for (std::size_t i = 0; i < count; ++i) out[i] = std::max(out[i], other[i]);
    }
  }

 private:
  const std::vector<std::unique_ptr<RowFunction>>& of_;
};

class Scaled : public RowFunction {
 public:
  Scaled(const RowFunction& of, double factor) : of_(of), factor_(factor) {}
  void values(const Gene* rows, std::size_t count, double* out) const override {
    of_.values(rows, count, out);
    for (std::size_t i = 0; i < count; ++i) out[i] *= factor_;
  }

 private:
  const RowFunction& of_;
  double factor_;
};

bool has_energy(const Lut& lut, const OperatingPoint& point) {
  return std::any_of(lut.units.begin(), lut.units.end(), [&](const auto& unit) {
    const auto entry = unit.second.find(point);
    return entry != unit.second.end() && entry->second.energy_j.has_value();
  });
}

}  // namespace

std::int64_t peak_activation_bytes(const Unit& unit) noexcept {
  const auto map = [](int channels, int size) { return std::int64_t{channels} * size * size; };
  const std::int64_t in = map(unit.in_channels, unit.in_size), out = map(unit.out_channels, unit.out_size);
  const std::int64_t kept = unit.residual ? in : 0;
  if (unit.kind != UnitKind::mbconv && unit.kind != UnitKind::bottleneck) return kBytes * (in + out + kept);
  // Expansion, the convolution between, projection; a bottleneck's shortcut needs its input to the end.
  const std::int64_t input = unit.kind == UnitKind::bottleneck ? in : kept;
  const std::int64_t wide_in = map(unit.mid_channels, unit.in_size),
                     wide = map(unit.mid_channels, unit.out_size);
  const std::int64_t expansion = unit.expands ? in + wide_in : 0;
  const std::int64_t middle = unit.expands ? input + wide_in + wide : in + wide;
  return kBytes * std::max({expansion, middle, input + wide + out});
}

std::int64_t peak_activation_bytes(const Network& network) noexcept {
  std::int64_t most = 0;
  for (const Unit& unit : network.units) most = std::max(most, peak_activation_bytes(unit));
  return most;
}

RowCosts::RowCosts(const GeneSpace& genes, const Lut& lut, std::span<const OperatingPoint> points) {
  for (const OperatingPoint& point : points) {
    const UnitCost cost = [&](const Unit& unit, int r) { return lut.unit_entry(unit, r, point).latency_s; };
    at_.push_back(std::make_unique<UnitSums>(genes, cost, correction_at(lut, point)));
  }
  worst_ = std::make_unique<Worst>(at_);
  const auto counted = [&](auto count, UnitSums::Options options = {}) {
    return std::make_unique<UnitSums>(
        genes, [count](const Unit& unit, int) { return static_cast<double>(count(unit)); }, options);
  };
  macs_ = counted([](const Unit& unit) { return unit.macs(); });
  params_ = counted([](const Unit& unit) { return unit.params(); });
  memory_ = counted([](const Unit& unit) { return peak_activation_bytes(unit); }, {1, 0, true});
  make_energy(genes, lut, points.front());
}

void RowCosts::make_energy(const GeneSpace& genes, const Lut& lut, const OperatingPoint& point) {
  if (has_energy(lut, point)) {
    energy_origin_ = Origin::measured;
    try {
      energy_ = std::make_unique<UnitSums>(genes, [&](const Unit& unit, int r) {
        const LutEntry& entry = lut.unit_entry(unit, r, point);
        if (!entry.energy_j)
          throw Error(ErrorCode::not_found, fmt::format("the LUT has no energy of unit \"{}\"", unit.key()));
        if (entry.energy_origin != Origin::measured) energy_origin_ = entry.energy_origin;
        return *entry.energy_j;
      });
    } catch (const Error& error) {
      energy_reason_ = error.message();
    }
    return;
  }
  const Platform platform = parse_platform(lut.platform_document, "look-up table");
  const auto power_w = modelled_power_w(platform, point.cluster, point.freq_hz, point.threads);
  if (power_w) {
    energy_ = std::make_unique<Scaled>(*at_.front(), *power_w);
  } else {
    energy_reason_ =
        fmt::format("the LUT has no energy of units, and its platform no power at ({})", describe(point));
  }
}

}  // namespace dsn

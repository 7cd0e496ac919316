// SPDX-License-Identifier: Apache-2.0
// What rows of genes cost on a device: latency at one operating point or the worst of several, energy,
// memory, MACs and parameters.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dsn/profile/lut.h"
#include "dsn/search/genes.h"

namespace dsn {

// Most bytes of float32 feature maps that one unit holds at a time at batch 1: what goes in, what comes out,
// and what is between. An engine that keeps more than these needs more; weights are not counted.
[[nodiscard]] std::int64_t peak_activation_bytes(const Unit& unit) noexcept;
// The largest over a network's units.
[[nodiscard]] std::int64_t peak_activation_bytes(const Network& network) noexcept;

// Immutable; const members are thread-safe. Refers to `genes`.
class RowCosts {
 public:
  // `points`: at least one; the first is the reference. Latency is corrected as the LUT says. Throws
  // Error{not_found} naming a unit or point that the LUT lacks, and as UnitSums.
  RowCosts(const GeneSpace& genes, const Lut& lut, std::span<const OperatingPoint> points);

  // Seconds: the worst of all points.
  [[nodiscard]] const RowFunction& latency() const noexcept { return *worst_; }
  [[nodiscard]] std::size_t points() const noexcept { return at_.size(); }
  [[nodiscard]] const RowFunction& latency_at(std::size_t point) const noexcept { return *at_[point]; }
  [[nodiscard]] const RowFunction& macs() const noexcept { return *macs_; }
  [[nodiscard]] const RowFunction& params() const noexcept { return *params_; }
  [[nodiscard]] const RowFunction& memory() const noexcept { return *memory_; }  // bytes, see above
  // Joules at the reference point: the LUT's where its units have them, else the platform's power for as long
  // as the latency there. nullptr with energy_reason() where there is neither.
  [[nodiscard]] const RowFunction* energy() const noexcept { return energy_.get(); }
  [[nodiscard]] Origin energy_origin() const noexcept { return energy_origin_; }
  [[nodiscard]] const std::string& energy_reason() const noexcept { return energy_reason_; }

 private:
  void make_energy(const GeneSpace& genes, const Lut& lut, const OperatingPoint& point);

  std::vector<std::unique_ptr<RowFunction>> at_;
  std::unique_ptr<RowFunction> worst_, macs_, params_, memory_, energy_;
  Origin energy_origin_ = Origin::modelled;
  std::string energy_reason_;
};

}  // namespace dsn

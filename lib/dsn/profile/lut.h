// SPDX-License-Identifier: Apache-2.0
// Latency and energy look-up tables: what units and levels cost on one device at one operating point.
//
// A Lut is immutable after load(): const members are thread-safe. Units: seconds, joules, hertz.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/platform/platform.h"
#include "dsn/space/network.h"

namespace dsn {

// Where and how something was measured.
struct OperatingPoint {
  std::string cluster;
  int threads = 1;
  double freq_hz = 0;  // 0: the machine's one unknown frequency
  int batch = 1;
  friend auto operator<=>(const OperatingPoint&, const OperatingPoint&) = default;
};

// For people: "cpu, 2 threads, 1.42 GHz" (frequency and batch only where they say something).
[[nodiscard]] std::string describe(const OperatingPoint& point);

// One cost. p50 ± MAD with n samples; p90 and p99 absent when n cannot carry them.
struct LutEntry {
  double latency_s = 0;  // p50
  double mad_s = 0;
  std::optional<double> p90_s, p99_s;
  int samples = 0;
  std::optional<double> energy_j;  // per inference, board or rail as the LUT's "energy_source" says
  Origin latency_origin = Origin::measured;
  Origin energy_origin = Origin::measured;
  std::string note;  // "frequency moved", "throttled"; empty when clean
};

// Sub-network measured end to end.
struct LutLevel {
  SubnetConfig config;
  std::map<OperatingPoint, LutEntry> at;
};

// Key of a row that is of networks of one input resolution: published tables have a row per resolution even
// for units that do not depend on it ("classifier-...@r160").
[[nodiscard]] std::string unit_key_at(const std::string& key, int resolution);

class Lut {
 public:
  // Throws Error{bad_input | not_found | mismatch}. A `dsn.lut` holds the space's document and hash, the
  // platform's, and both kinds of rows; a hash that is not that of its document is refused.
  static Lut load(const fs::path& path);
  static Lut parse(const Json& document, const std::string& file);  // content, with or without the envelope
  [[nodiscard]] Json to_json() const;                               // content only, without the envelope

  std::string space_sha256, platform_sha256, engine, device;  // device: for people, "AMD EPYC, 2 cores"
  std::string energy_source;                                  // empty: no energy, with energy_reason
  std::string energy_reason;
  Json space_document, platform_document;
  // By Unit::key(), or unit_key_at() for what a unit costs in networks of one input resolution only.
  std::map<std::string, std::map<OperatingPoint, LutEntry>> units;
  std::vector<LutLevel> levels;  // canonical, each sub-network once
  // Correction of unit sums against end-to-end measurement per point: latency = scale * sum + offset (least
  // squares on relative errors). mape: of sub-networks left out of the fit one at a time; count: sub-networks
  // measured end to end.
  struct Correction {
    double scale = 1, offset_s = 0, mape = 0;
    int count = 0;
  };
  std::map<OperatingPoint, Correction> corrections;

  [[nodiscard]] std::vector<OperatingPoint> points() const;  // sorted, of units and levels

  // Throws Error{mismatch} naming both hashes if this LUT is of another space.
  void require_space(const SearchSpace& space) const;
  // Sum of unit costs at `point`, corrected where a correction exists. Throws Error{not_found} naming the
  // missing unit or point; never guesses.
  [[nodiscard]] double predict_latency(const Network& network, const OperatingPoint& point) const;
  [[nodiscard]] double unit_sum(const Network& network, const OperatingPoint& point) const;
  // Of one unit in a network of that input resolution. Throws as predict_latency().
  [[nodiscard]] const LutEntry& unit_entry(const Unit& unit, int resolution,
                                           const OperatingPoint& point) const;
  // End-to-end entry, nullptr if that sub-network was not measured at `point`. `config` is canonical
  // (SearchSpace::canonical), as all of `levels` are. No allocation.
  [[nodiscard]] const LutEntry* level_entry(const SubnetConfig& config,
                                            const OperatingPoint& point) const noexcept;
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// Latency and energy look-up tables: what units and levels cost on one device at one operating point.
//
// A Lut is immutable after load(): const members are thread-safe. Units: seconds, joules, hertz.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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
  std::optional<double> mean_s;  // of entries beside other work, whose median hides the waiting for a core
  // How fast the machine was while it was measured, as a share of its own speed (Lut::Speed); 0: not looked
  // at. set_aside: samples that were taken while it was slower, and measured again.
  double speed = 0;
  int set_aside = 0;
  std::optional<double> temp_c;    // highest read beside it
  std::optional<double> energy_j;  // per inference, board or rail as the LUT's "energy_source" says
  Origin latency_origin = Origin::measured;
  Origin energy_origin = Origin::measured;
  std::string note;  // "not settled: ...", "frequency read ...", "machine at 72 % ..."; empty when clean
};

// Other work on the machine while a level was measured, made by dsn itself: `workers` threads of a kind that
// are always busy.
struct CoLoad {
  enum class Kind {
    compute,  // arithmetic in registers: takes cores and what hardware threads share
    memory    // streams through more than the caches hold: takes bandwidth and caches, too
  };
  Kind kind = Kind::compute;
  int workers = 1;
  friend auto operator<=>(const CoLoad&, const CoLoad&) = default;
};
[[nodiscard]] std::string_view to_string(CoLoad::Kind kind) noexcept;
[[nodiscard]] CoLoad::Kind parse_load_kind(const std::string& text);  // throws Error{bad_usage}
// For people: "2 compute workers".
[[nodiscard]] std::string describe(const CoLoad& load);

// Sub-network measured end to end.
struct LutLevel {
  SubnetConfig config;
  std::map<OperatingPoint, LutEntry> at;
  std::map<std::pair<OperatingPoint, CoLoad>, LutEntry> beside;  // the same beside other work
  bool held_out = false;  // measured to check predictions; no correction is fitted to it
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
    // Of predictions for sub-networks that no fit ever saw; held_out 0: there were none.
    int held_out = 0;
    double held_out_mape = 0, held_out_tau = 0;
  };
  std::map<OperatingPoint, Correction> corrections;
  // How fast the machine did a fixed piece of work beside the entries of a point, in vector multiply-adds per
  // second: a clock that moves, a busy neighbour on the same core and stolen time all show in it.
  struct Speed {
    double own_per_s = 0;  // what it reached whenever nothing held it up: 90th percentile
    double p50_per_s = 0, lowest_per_s = 0;
    int probes = 0;
    double slow_share = 0;  // of the probes
    double waited_s = 0;    // for it to be fast again
  };
  std::map<OperatingPoint, Speed> speeds;

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
  // The loads beside which levels were measured at `point`, sorted.
  [[nodiscard]] std::vector<CoLoad> loads(const OperatingPoint& point) const;
  // The level beside that load; nullptr if it was not measured. No allocation.
  [[nodiscard]] const LutEntry* beside_entry(const SubnetConfig& config, const OperatingPoint& point,
                                             const CoLoad& load) const noexcept;
  // How much longer the level takes beside that load than alone: medians, and mean over median alone, which
  // holds the time without a core. Nothing when one of the two was not measured. No allocation.
  struct Slowdown {
    double p50 = 1, mean = 1;
  };
  [[nodiscard]] std::optional<Slowdown> slowdown(const SubnetConfig& config, const OperatingPoint& point,
                                                 const CoLoad& load) const noexcept;
};

}  // namespace dsn

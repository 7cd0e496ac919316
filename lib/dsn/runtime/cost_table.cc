// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/runtime/latency_fit.h"
#include "dsn/runtime/policy.h"

namespace dsn {
namespace {

// Kernels round frequencies: an OPP of 1 190 400 kHz may be read back as 1 190 MHz.
constexpr double kSameFrequency = 0.005;
constexpr double kMadToSigma = 1.4826;  // of a normal distribution

// Samples over frequency, straight lines in between and flat beyond: for what has no law of its own.
class OverFrequency {
 public:
  void add(double freq_hz, double value) { samples_[freq_hz] = value; }
  [[nodiscard]] bool empty() const { return samples_.empty(); }
  [[nodiscard]] double at(double freq_hz) const {
    const auto above = samples_.lower_bound(freq_hz);
    if (above == samples_.begin()) return above->second;
    const auto below = std::prev(above);
    if (above == samples_.end()) return below->second;
    const double share = (freq_hz - below->first) / (above->first - below->first);
    return below->second + share * (above->second - below->second);
  }

 private:
  std::map<double, double> samples_;
};

OperatingPoint point_of(const Cluster& cluster, int threads, double freq_hz) {
  return {cluster.name, threads, freq_hz, 1};
}

std::string name_of(const Cluster& cluster, int threads) {
  return fmt::format("{}, {} thread{}", cluster.name, threads, threads == 1 ? "" : "s");
}

// Frequencies at which every level was measured, ascending. `missing` names a level that is not there if
// there are none.
std::vector<double> complete_frequencies(const Family& family, const Lut& lut, const Cluster& cluster,
                                         int threads, std::string& missing) {
  std::set<double> all;
  for (const OperatingPoint& point : lut.points())
    if (point.cluster == cluster.name && point.threads == threads && point.batch == 1)
      all.insert(point.freq_hz);
  std::vector<double> complete;
  for (const double freq_hz : all) {
    const OperatingPoint point = point_of(cluster, threads, freq_hz);
    const auto lacking = std::find_if(family.levels.begin(), family.levels.end(), [&](const Level& level) {
      return lut.level_entry(level.config, point) == nullptr;
    });
    if (lacking == family.levels.end()) {
      complete.push_back(freq_hz);
    } else if (missing.empty()) {
      missing = fmt::format("the LUT has no row of level {} at ({})", lacking->id, describe(point));
    }
  }
  // An unknown frequency beside known ones cannot be placed among them.
  if (complete.size() > 1 && complete.front() == 0) complete.erase(complete.begin());
  return complete;
}

// Power above idle of `threads` busy cores at `opp`; nothing when it is unknown.
std::optional<double> active_power(const Cluster& cluster, const Opp& opp, int threads) {
  if (!opp.busy_power_w || !opp.idle_power_w) return std::nullopt;
  const auto cores = static_cast<int>(cluster.cpus.size());
  const double share =
      cluster.kind == ClusterKind::gpu || cores == 0 ? 1.0 : std::min(1.0, double(threads) / cores);
  return std::max(0.0, *opp.busy_power_w - *opp.idle_power_w) * share;
}

// Energy of one inference above idle, from the energy of the whole rail; nothing when that cannot be told
// apart.
std::optional<double> above_idle(const LutEntry& entry, const Opp& opp, double base_power_w) {
  if (!entry.energy_j) return std::nullopt;
  const double idle_w = opp.idle_power_w ? *opp.idle_power_w + base_power_w : 0;
  const double energy_j = *entry.energy_j - idle_w * entry.latency_s;
  if (energy_j <= 0) return std::nullopt;
  return energy_j;
}

// What one level costs at one placement over frequency.
class LevelCosts {
 public:
  LevelCosts(const Lut& lut, const SubnetConfig& config, const Cluster& cluster, int threads,
             double base_power_w, const std::vector<double>& freqs_hz)
      : cluster_(cluster), threads_(threads) {
    for (const double freq_hz : freqs_hz) {
      const LutEntry& entry = *lut.level_entry(config, point_of(cluster, threads, freq_hz));
      const Opp& opp = nearest_opp(freq_hz);
      entries_.emplace_back(freq_hz, &entry);
      const std::optional<double> energy = above_idle(entry, opp, base_power_w);
      if (!energy) continue;
      energy_.add(freq_hz, *energy);
      const std::optional<double> power = active_power(cluster, opp, threads);
      if (power && *power > 0) correction_.add(freq_hz, *energy / (*power * entry.latency_s));
    }
    if (freqs_hz.size() < 2) return;
    std::vector<double> latencies;
    for (const auto& [freq_hz, entry] : entries_) latencies.push_back(entry->latency_s);
    fit_ = fit_latency(freqs_hz, latencies);
  }

  // The measured row of `opp`, nullptr if its frequency was not measured.
  [[nodiscard]] const LutEntry* measured(const Opp& opp) const {
    if (entries_.size() == 1) return entries_.front().second;
    for (const auto& [freq_hz, entry] : entries_)
      if (std::abs(freq_hz - opp.freq_hz) <= kSameFrequency * opp.freq_hz) return entry;
    return nullptr;
  }
  [[nodiscard]] double latency(const Opp& opp) const {
    const LutEntry* entry = measured(opp);
    return entry != nullptr ? entry->latency_s : fit_.at(opp.freq_hz);
  }
  [[nodiscard]] double spread(const Opp& opp) const {
    const auto distance = [&](const auto& row) { return std::abs(row.first - opp.freq_hz); };
    const auto nearest =
        std::min_element(entries_.begin(), entries_.end(),
                         [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
    return kMadToSigma * nearest->second->mad_s / nearest->second->latency_s;
  }
  // A modelled energy follows the power model, corrected by what was measured at other frequencies.
  [[nodiscard]] double energy(const Opp& opp) const {
    const std::optional<double> power = active_power(cluster_, opp, threads_);
    if (!power || *power <= 0) return energy_.empty() ? 0 : energy_.at(opp.freq_hz);
    const double correction = correction_.empty() ? 1 : correction_.at(opp.freq_hz);
    return *power * latency(opp) * correction;
  }
  [[nodiscard]] const Opp& nearest_opp(double freq_hz) const {
    if (freq_hz <= 0) return cluster_.opps.back();
    return *std::min_element(cluster_.opps.begin(), cluster_.opps.end(), [&](const Opp& a, const Opp& b) {
      return std::abs(a.freq_hz - freq_hz) < std::abs(b.freq_hz - freq_hz);
    });
  }

 private:
  const Cluster& cluster_;
  int threads_;
  std::vector<std::pair<double, const LutEntry*>> entries_;
  OverFrequency energy_, correction_;
  LatencyFit fit_;
};

}  // namespace

bool CostTable::add_placement(const Family& family, const Lut& lut, const Platform& platform,
                              const Placement& placement, std::string& missing) {
  const Cluster& cluster = platform.clusters[static_cast<std::size_t>(placement.cluster)];
  const std::vector<double> freqs_hz = complete_frequencies(family, lut, cluster, placement.threads, missing);
  if (freqs_hz.empty()) return false;
  const bool one_frequency = freqs_hz.size() == 1;
  if (!one_frequency && cluster.opps.size() == 1 && cluster.opps.front().freq_hz <= 0) {
    throw Error(ErrorCode::mismatch,
                fmt::format("the LUT was measured at {} frequencies of cluster \"{}\", but on this platform "
                            "the cluster's frequency is not known",
                            freqs_hz.size(), cluster.name),
                "measure this machine with `dsn profile`");
  }
  Grid grid;
  grid.opps = one_frequency ? 1 : static_cast<int>(cluster.opps.size());
  grid.name = name_of(cluster, placement.threads);
  if (grid.opps > static_cast<int>(kMaxOpps)) {
    throw Error(ErrorCode::bad_input,
                fmt::format("cluster \"{}\" has {} operating points, expected at most {}", cluster.name,
                            grid.opps, kMaxOpps));
  }
  for (const Level& level : family.levels) {
    const LevelCosts costs(lut, level.config, cluster, placement.threads, platform.base_power_w, freqs_hz);
    for (int i = 0; i < grid.opps; ++i) {
      const Opp& opp =
          one_frequency ? costs.nearest_opp(freqs_hz.front()) : cluster.opps[static_cast<std::size_t>(i)];
      grid.cells.push_back({costs.latency(opp), costs.spread(opp), costs.energy(opp)});
      if (grid.origin.size() < static_cast<std::size_t>(grid.opps)) {
        const LutEntry* entry = costs.measured(opp);
        grid.origin.push_back(entry != nullptr ? entry->latency_origin : Origin::modelled);
      }
    }
  }
  placements_.push_back(placement);
  grids_.push_back(std::move(grid));
  return true;
}

CostTable::CostTable(const Family& family, const Lut& lut, const Platform& platform, int threads) {
  if (family.levels.empty()) throw Error(ErrorCode::bad_input, "the family has no levels");
  if (platform.clusters.size() > kMaxClusters) {
    throw Error(ErrorCode::bad_input, fmt::format("platform \"{}\" has {} clusters, expected at most {}",
                                                  platform.name, platform.clusters.size(), kMaxClusters));
  }
  for (const Level& level : family.levels) {
    by_accuracy_.push_back(levels());
    accuracy_.push_back(level.accuracy);
  }
  std::stable_sort(by_accuracy_.begin(), by_accuracy_.end(),
                   [this](int a, int b) { return accuracy(a) > accuracy(b); });

  std::string missing, measured;
  for (std::size_t c = 0; c < platform.clusters.size(); ++c) {
    std::set<int> counts;
    for (const OperatingPoint& point : lut.points())
      if (point.cluster == platform.clusters[c].name && point.batch == 1) counts.insert(point.threads);
    for (const int count : counts) {
      measured += (measured.empty() ? "" : "; ") + name_of(platform.clusters[c], count);
      if (threads > 0 && count != threads) continue;
      (void)add_placement(family, lut, platform, {static_cast<int>(c), count}, missing);
    }
  }
  if (placements_.empty()) {
    const std::string hint = "measure the family's levels on this device with `dsn profile`";
    if (!missing.empty()) throw Error(ErrorCode::not_found, missing, hint);
    std::string wanted = fmt::format("platform \"{}\"", platform.name);
    if (threads > 0) wanted = fmt::format("{} thread{} of ", threads, threads == 1 ? "" : "s") + wanted;
    throw Error(ErrorCode::not_found,
                fmt::format("the LUT has no row of level {} on {}; it was measured at: {}",
                            family.levels.front().id, wanted, measured.empty() ? "nothing" : measured),
                hint);
  }
  if (placements_.size() > kMaxPlacements) {
    throw Error(ErrorCode::bad_input,
                fmt::format("the LUT gives {} placements (clusters and thread counts), expected at most {}",
                            placements_.size(), kMaxPlacements));
  }
  energy_known_ = std::all_of(grids_.begin(), grids_.end(), [](const Grid& grid) {
    return std::all_of(grid.cells.begin(), grid.cells.end(), [](const Cell& c) { return c.energy_j > 0; });
  });
}

int CostTable::opps(int placement) const noexcept {
  return grids_[static_cast<std::size_t>(placement)].opps;
}

Origin CostTable::latency_origin(int placement, int opp) const noexcept {
  const Grid& grid = grids_[static_cast<std::size_t>(placement)];
  return grid.origin[static_cast<std::size_t>(std::clamp(opp, 0, grid.opps - 1))];
}

const std::string& CostTable::placement_name(int placement) const noexcept {
  return grids_[static_cast<std::size_t>(placement)].name;
}

}  // namespace dsn

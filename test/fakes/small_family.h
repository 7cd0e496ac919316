// SPDX-License-Identifier: Apache-2.0
// Families, LUTs and platforms made from lists of numbers: what a CostTable needs, without a search space.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dsn/runtime/policy.h"

namespace dsn::fakes {

// A configuration that tells level `index` from the others.
inline SubnetConfig level_config(int index) {
  return {16 + index, {1}, {1.0}, {3}};
}

// One level per accuracy, ids in order.
inline Family family_of(const std::vector<double>& accuracies) {
  Family family;
  for (std::size_t i = 0; i < accuracies.size(); ++i) {
    Level level;
    level.id = static_cast<int>(i);
    level.config = level_config(level.id);
    level.accuracy = accuracies[i];
    family.levels.push_back(level);
  }
  return family;
}

inline void add_row(Lut& lut, int level, const OperatingPoint& point, double latency_s,
                    double spread = 0.02) {
  while (lut.levels.size() <= static_cast<std::size_t>(level))
    lut.levels.push_back({level_config(static_cast<int>(lut.levels.size())), {}});
  LutEntry entry;
  entry.latency_s = latency_s;
  entry.mad_s = spread * latency_s / 1.4826;
  entry.samples = 100;
  lut.levels[static_cast<std::size_t>(level)].at[point] = entry;
}

inline Cluster cluster_of(std::string name, int cpus, const std::vector<double>& freqs_hz) {
  Cluster cluster;
  cluster.name = std::move(name);
  for (int i = 0; i < cpus; ++i) cluster.cpus.push_back(i);
  for (const double freq_hz : freqs_hz) {
    Opp opp;
    opp.freq_hz = freq_hz;
    cluster.opps.push_back(opp);
  }
  return cluster;
}

// One cluster "cpu" whose frequency is not known: a virtual machine.
inline Platform plain_platform(int cpus = 2) {
  Platform platform;
  platform.name = "test board";
  platform.clusters.push_back(cluster_of("cpu", cpus, {0.0}));
  return platform;
}

// A LUT of plain_platform(): levels' latencies with one thread.
inline Lut plain_lut(const std::vector<double>& latencies_s) {
  Lut lut;
  for (std::size_t i = 0; i < latencies_s.size(); ++i)
    add_row(lut, static_cast<int>(i), {"cpu", 1, 0, 1}, latencies_s[i]);
  return lut;
}

// Six levels from 0.8 to 3.3 ms: what the tests of the managers run.
inline const std::vector<double> kLatencies = {0.8e-3, 1.1e-3, 1.5e-3, 2.0e-3, 2.6e-3, 3.3e-3};
inline const std::vector<double> kAccuracies = {0.910, 0.915, 0.920, 0.924, 0.927, 0.930};

inline CostTable plain_costs() {
  return {family_of(kAccuracies), plain_lut(kLatencies), plain_platform()};
}

}  // namespace dsn::fakes

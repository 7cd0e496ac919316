// SPDX-License-Identifier: Apache-2.0
// What a device is: clusters, operating points, power model, sensors, power modes. Read from `dsn.platform` files or discovered.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsn/core/json.h"

namespace dsn {

// Where a number comes from. Kept with it into every file, table and plot.
enum class Origin { measured, modelled, published };
[[nodiscard]] std::string_view to_string(Origin origin) noexcept;
[[nodiscard]] Origin parse_origin(const JsonView& json);

enum class ClusterKind { cpu, gpu };

// Operating performance point of a cluster.
struct Opp {
  double freq_hz = 0;                  // 0: one unknown, fixed point (a machine without cpufreq)
  std::optional<double> voltage_v;
  std::optional<double> idle_power_w;  // cluster (with what it keeps awake) powered and idle at this OPP
  std::optional<double> busy_power_w;  // all of the cluster's cores (or the GPU) busy at this OPP; linear in between
};

struct Cluster {
  std::string name;   // "cpu", "big", "gpu"
  ClusterKind kind = ClusterKind::cpu;
  std::string knob;   // "policy0" (cpufreq), devfreq device name, empty: cannot be set
  std::vector<int> cpus;  // CPU numbers; empty for a GPU
  std::vector<Opp> opps;  // ascending frequency, at least one
  double transition_latency_s = 0;
  Origin power_origin = Origin::modelled;  // of idle_power_w and busy_power_w
  std::string power_source;                // where they come from; empty when there are none
};

// Cap on clusters that a power mode (nvpmodel) sets.
struct PowerMode {
  std::string name;
  std::vector<std::pair<std::string, double>> max_freq_hz;  // cluster name, cap
};

struct ThermalModel {
  double ambient_c = 25, resistance_c_per_w = 0, time_constant_s = 0;  // resistance 0: no thermal model
  double throttle_c = 0;                                               // 0: no throttling
};

// Immutable once loaded.
struct Platform {
  std::string name;
  std::vector<Cluster> clusters;
  double base_power_w = 0;  // everything that no cluster accounts for (module rail); 0 when unknown
  bool power_known = false; // every cluster has busy and idle power
  std::string power_rail;   // what the power numbers cover: "VDD_IN (module input)"
  ThermalModel thermal;
  std::vector<PowerMode> modes;
  Json document;            // as read or discovered
  std::string sha256;       // identifies the device description in LUTs: clusters, knobs and OPP frequencies

  [[nodiscard]] int cluster_index(std::string_view name) const;  // throws Error{not_found} naming those there are
};

// Strict: an unknown key is Error{bad_input} with its pointer.
[[nodiscard]] Platform load_platform(const fs::path& path);
[[nodiscard]] Platform parse_platform(const Json& document, const std::string& file);

// Describes this machine from sysfs and procfs under `root` ("" is the real one): cpufreq policies with their OPPs (min and max where
// the driver has no table), a single cluster of unknown frequency where there is no cpufreq. Missing nodes leave fields out and say so
// in the document's "warnings". Never throws for a missing node.
[[nodiscard]] Json discover_platform(const fs::path& root = {});

}  // namespace dsn

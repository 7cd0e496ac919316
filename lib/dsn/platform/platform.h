// SPDX-License-Identifier: Apache-2.0
// What a device is: clusters, operating points, power model, power modes. Read from `dsn.platform` files or
// discovered.
//
// A `dsn.platform` file can be written by hand and is strict: README.md here shows one. Each group of numbers
// in it says where it comes from (`origin`) and what that is (`source`).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dsn/core/json.h"

namespace dsn {

// Where a number comes from. Kept with it into every file, table and plot.
//   measured   by dsn or its user on this very device
//   published  by others, on a device of the same kind
//   modelled   computed from other numbers, or assumed
enum class Origin { measured, modelled, published };
[[nodiscard]] std::string_view to_string(Origin origin) noexcept;
[[nodiscard]] Origin parse_origin(const JsonView& json);

enum class ClusterKind { cpu, gpu };

// Operating performance point of a cluster.
struct Opp {
  double freq_hz = 0;  // 0: one unknown, fixed point (a machine without cpufreq)
  std::optional<double> voltage_v;
  std::optional<double> idle_power_w;  // cluster (with what it keeps awake) powered and idle at this OPP
  std::optional<double>
      busy_power_w;  // all of the cluster's cores (or the GPU) busy at this OPP; linear in between
  Origin power_origin = Origin::modelled;  // of the two powers of this row
};

struct Cluster {
  std::string name;  // "cpu", "big", "gpu"
  ClusterKind kind = ClusterKind::cpu;
  std::string knob;  // "policy0" or "policy0,policy2" (cpufreq), devfreq device name; empty: cannot be set
  std::vector<int> cpus;  // CPU numbers, ascending; empty for a GPU
  std::vector<Opp>
      opps;  // ascending frequency, at least one; either all rows have both powers or none has any
  double transition_latency_s = 0;         // 0: unknown
  Origin power_origin = Origin::modelled;  // of idle_power_w and busy_power_w: modelled if any row is
  std::string power_source;                // where they come from; empty when there are none
};

// The policies of a knob: "policy0,policy2" gives two. A name that is no list gives itself, an empty one
// nothing.
[[nodiscard]] std::vector<std::string> split_knob(std::string_view knob);

// Cap on clusters that a power mode (nvpmodel) sets.
struct PowerMode {
  std::string name;
  std::vector<std::pair<std::string, double>> max_freq_hz;  // cluster name, cap
  std::vector<std::pair<std::string, double>> min_freq_hz;  // cluster name, floor
  int cpus_online = 0;                                      // 0: all
};

struct ThermalModel {
  double ambient_c = 25, resistance_c_per_w = 0, time_constant_s = 0;  // resistance 0: no thermal model
  double throttle_c = 0;                                               // 0: no throttling
};

// Immutable once loaded.
struct Platform {
  std::string name;
  std::vector<Cluster> clusters;
  double base_power_w = 0;   // everything that no cluster accounts for (module rail); 0 when unknown
  bool power_known = false;  // every cluster has busy and idle power
  std::string power_rail;    // what the power numbers cover: "VDD_IN (module input)"
  ThermalModel thermal;
  std::vector<PowerMode> modes;
  Json document;       // as read or discovered
  std::string sha256;  // identifies the device in LUTs: name, clusters, CPUs, knobs and OPP frequencies (not
                       // powers or notes)

  [[nodiscard]] int cluster_index(
      std::string_view name) const;  // throws Error{not_found} naming those there are
};

// Strict: an unknown key is Error{bad_input} with its pointer. Comments are allowed in files.
[[nodiscard]] Platform load_platform(const fs::path& path);
[[nodiscard]] Platform parse_platform(const Json& document, const std::string& file);

// Describes this machine from sysfs and procfs under `root` ("" is the real one): cpufreq policies with their
// OPPs (min and max where the driver has no table), a single cluster of unknown frequency where there is no
// cpufreq. Policies with the same OPPs and CPU capacity are one cluster with a knob list. Missing nodes leave
// fields out and say so in the document's "warnings". Never throws for a missing node.
[[nodiscard]] Json discover_platform(const fs::path& root = {});

}  // namespace dsn

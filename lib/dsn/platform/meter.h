// SPDX-License-Identifier: Apache-2.0
// Energy meters: RAPL, INA2xx and INA3221 rails (hwmon and Jetson's older iio), ACPI power meters, batteries,
// NVIDIA GPUs (NVML).
// Kernel ABI: Documentation/power/powercap/powercap.rst, Documentation/hwmon/sysfs-interface.rst,
// Documentation/ABI/testing/sysfs-class-power.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/json.h"

namespace dsn {

struct MeterInfo {
  std::string id;            // "rapl", "VDD_IN", "sum of rails", "acpi", "BAT0": what --energy takes
  std::string covers;        // for people: "CPU package-0, dram", "module input"
  bool counter = false;      // counts energy; otherwise power is sampled and integrated
  double period_s = 0;       // between fresh values of the sensor
  bool period_said = false;  // by the driver; otherwise what such sensors usually have
  double step = 0;           // smallest difference: joules of a counter, watts otherwise; 0: unknown
  double window_s = 0;       // shortest time whose energy it carries (20 fresh values)
  double sample_s = 0;       // how often it is read
  bool part = false;         // of a device beside the one that computes (a GPU): never chosen by itself
};

// Energy over one window. Of a sampled power: the integral by the trapezoidal rule.
struct EnergyReading {
  double energy_j = 0, seconds = 0;
  int samples = 0;          // readings that went into it
  int failed = 0;           // readings that the sensor refused; the others bridge them
  double resolution_j = 0;  // what one step of the sensor, or one period unseen at the mean power, amounts to
  [[nodiscard]] double power_w() const noexcept { return seconds > 0 ? energy_j / seconds : 0; }
};

// One window at a time. thread-bound; samples on a thread of its own in between.
class EnergyMeter {
 public:
  virtual ~EnergyMeter() = default;
  [[nodiscard]] virtual const MeterInfo& info() const noexcept = 0;
  // Throws Error{permission | unsupported | io} when the sensor cannot be read now.
  virtual void start() = 0;
  // Throws Error{io} naming the file when the sensor vanished or failed for most of the window. A counter's
  // wrap-around is undone. Precondition: start() was called.
  [[nodiscard]] virtual EnergyReading stop() = 0;
};

// A meter that is there.
struct FoundMeter {
  MeterInfo info;
  std::optional<Error> obstacle;  // why it cannot be used now
};

// What this machine (below `root`) has, the one that says most about an inference first: the board's input
// rail, the sum of its rails, the machine's own meter, CPU packages, a battery that discharges, single GPUs.
[[nodiscard]] std::vector<FoundMeter> find_meters(const fs::path& root = {});

// "auto": the first that can be used, is no `part` and carries windows of `longest_window_s`; nullptr if
// there is none. Another name is an id of find_meters(), or throws Error{not_found | permission |
// unsupported}.
[[nodiscard]] std::unique_ptr<EnergyMeter> open_meter(const std::string& id, const fs::path& root = {},
                                                      double longest_window_s = 2);

// For files: what the sensor is, and what it can tell.
[[nodiscard]] Json to_json(const MeterInfo& info);

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/meter_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "dsn/platform/nvml.h"
#include "dsn/platform/rails.h"
#include "dsn/platform/sysfs.h"

namespace dsn {
namespace {

constexpr double kMilli = 1e-3, kMicro = 1e-6, kPico = 1e-12;

std::vector<fs::path> folders_in(const fs::path& folder, std::string_view prefix) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().starts_with(prefix)) found.push_back(it->path());
  }
  std::sort(found.begin(), found.end());  // the file system's order is no order
  return found;
}

std::string text_of(const fs::path& file) {
  std::string text;
  return sysfs::read_text(file.string(), text) == 0 ? text : std::string();
}

bool is_there(const fs::path& file) {
  std::error_code error;
  return fs::exists(file, error);
}

double number_of(const fs::path& file, double otherwise) {
  double value = 0;
  return sysfs::read_decimal(file.string(), value) == 0 ? value : otherwise;
}

// A rail of a board: an INA chip's channel.
struct Rail {
  std::string name;
  MeterTerm term;
};

class Finder {
 public:
  explicit Finder(fs::path root) : root_(std::move(root)) {}

  std::vector<MeterSource> run() {
    hwmon();
    iio();
    odroid();
    add_rails();
    std::move(acpi_.begin(), acpi_.end(), std::back_inserter(found_));
    rapl();
    batteries();
    gpus();
    for (MeterSource& source : found_) finish(source);
    return std::move(found_);
  }

 private:
  [[nodiscard]] fs::path under(std::string_view relative) const { return sysfs::under(root_, relative); }

  void hwmon() {
    for (const fs::path& link : folders_in(under("sys/class/hwmon"), "hwmon")) {
      // Drivers of the older registration have their files, and no name, at the device.
      const fs::path at = is_there(link / "name") ? link : link / "device";
      const std::string name = text_of(at / "name");
      if (name.starts_with("ina3221")) {
        ina3221(at);
      } else if (name.starts_with("ina2")) {
        const std::string address = fs::weakly_canonical(link / "device").filename().string();
        rails_.push_back({rail_of_address(address), {(at / "power1_input").string(), {}, kMicro, 0}});
        slowest_s_ = std::max(slowest_s_, number_of(at / "update_interval", 0) * kMilli);
      } else if (is_there(at / "power1_average") && is_there(at / "power1_average_interval")) {
        MeterSource meter;
        meter.info.id = acpi_.empty() ? "acpi" : fmt::format("acpi{}", acpi_.size());
        meter.info.covers = "whole machine (ACPI power meter)";
        meter.info.period_s = number_of(at / "power1_average_interval", 1000) * kMilli;
        meter.info.period_said = true;
        meter.info.step = kMilli;
        meter.terms.push_back({(at / "power1_average").string(), {}, kMicro, 0});
        acpi_.push_back(std::move(meter));
      }
    }
  }

  // Three channels of voltage and current, no power; a disabled one reads ENODATA.
  void ina3221(const fs::path& at) {
    for (int k = 1; k <= 3; ++k) {
      const std::string label = text_of(at / fmt::format("in{}_label", k));
      if (label == "NC" || text_of(at / fmt::format("in{}_enable", k)) == "0") continue;
      if (!is_there(at / fmt::format("curr{}_input", k))) continue;
      rails_.push_back({label.empty() ? fmt::format("channel {}", k) : label,
                        {(at / fmt::format("in{}_input", k)).string(),
                         (at / fmt::format("curr{}_input", k)).string(), kMicro, 0}});
    }
    slowest_s_ = std::max(slowest_s_, number_of(at / "update_interval", 0) * kMilli);
  }

  // JetPack 4: iio nodes in milliwatts, not the mainline driver.
  void iio() {
    for (const fs::path& chip : folders_in(under("sys/bus/i2c/drivers/ina3221x"), "")) {
      for (const fs::path& at : folders_in(chip, "iio:device")) {
        for (int k = 0; k < 3; ++k) {
          const std::string name = text_of(at / fmt::format("rail_name_{}", k));
          if (name.empty() || name == "NC") continue;
          rails_.push_back({name, {(at / fmt::format("in_power{}_input", k)).string(), {}, kMilli, 0}});
        }
      }
    }
  }

  // Hardkernel's own driver on the XU3: watts as text.
  void odroid() {
    for (const fs::path& chip : folders_in(under("sys/bus/i2c/drivers/INA231"), "")) {
      if (!is_there(chip / "sensor_W") || text_of(chip / "enable") == "0") continue;
      rails_.push_back({rail_of_address(chip.filename().string()), {(chip / "sensor_W").string(), {}, 1, 0}});
    }
  }

  // The rail that holds all others where the board has one, else their sum; then each by itself.
  void add_rails() {
    if (rails_.empty()) return;
    MeterSource whole;
    whole.info.period_s = slowest_s_ > 0 ? slowest_s_ : kInaPeriod;
    whole.info.period_said = slowest_s_ > 0;
    whole.info.step = kMilli;
    const std::string_view total = total_rail([&](std::string_view name) {
      return std::any_of(rails_.begin(), rails_.end(), [&](const Rail& rail) { return rail.name == name; });
    });
    if (total.empty() && rails_.size() > 1) {
      MeterSource sum = whole;
      sum.info.id = "rails";
      sum.info.covers = "sum of the rails";
      for (const Rail& rail : rails_) {
        sum.info.covers += (&rail == rails_.data() ? " " : ", ") + rail.name;
        sum.terms.push_back(rail.term);
      }
      found_.push_back(std::move(sum));
    }
    std::stable_partition(rails_.begin(), rails_.end(), [&](const Rail& rail) { return rail.name == total; });
    for (const Rail& rail : rails_) {
      MeterSource one = whole;
      one.info.id = rail.name;
      one.info.covers = rail.name == total ? fmt::format("board input {}", rail.name)
                                           : fmt::format("rail {} alone", rail.name);
      one.terms = {rail.term};
      found_.push_back(std::move(one));
    }
  }

  // Packages, and memory beside them. Zones inside a package (core, uncore) are part of it; psys contains
  // everything, but only some firmware fills it; intel-rapl-mmio shows the same packages again.
  void rapl() {
    MeterSource meter;
    meter.info = {"rapl", "CPU", true, kMilli, false, 61e-6, 0, 0, false};
    for (const fs::path& zone : folders_in(under("sys/class/powercap"), "intel-rapl:")) {
      const std::string name = text_of(zone / "name");
      if (!name.starts_with("package") && name != "dram") continue;
      meter.info.covers += (meter.terms.empty() ? " " : ", ") + name;
      meter.terms.push_back(
          {(zone / "energy_uj").string(), {}, kMicro, number_of(zone / "max_energy_range_uj", 0) * kMicro});
    }
    if (!meter.terms.empty()) found_.push_back(std::move(meter));
  }

  void batteries() {
    for (const fs::path& supply : folders_in(under("sys/class/power_supply"), "")) {
      if (text_of(supply / "type") != "Battery" || text_of(supply / "scope") == "Device") continue;
      MeterSource meter;
      meter.info.id = supply.filename().string();
      meter.info.covers = "whole machine, from its battery";
      meter.info.period_s = 1;
      meter.info.step = kMilli;
      if (is_there(supply / "power_now")) {
        meter.terms.push_back({(supply / "power_now").string(), {}, kMicro, 0});
      } else if (is_there(supply / "current_now") && is_there(supply / "voltage_now")) {
        meter.terms.push_back(
            {(supply / "current_now").string(), (supply / "voltage_now").string(), kPico, 0});
      } else {
        continue;
      }
      if (const std::string status = text_of(supply / "status"); status != "Discharging") {
        meter.obstacle =
            Error(ErrorCode::unsupported,
                  fmt::format("battery {} says \"{}\": it does not feed the machine", meter.info.id, status),
                  "unplug the mains adapter");
      }
      found_.push_back(std::move(meter));
    }
  }

  // One meter per GPU: what other parts of the machine draw is not in it.
  void gpus() {
    std::string problem;
    const auto nvml = Nvml::open(root_, problem);
    if (nvml == nullptr) return;
    for (unsigned i = 0; i < nvml->gpus().size(); ++i) {
      const NvmlGpu& gpu = nvml->gpus()[i];
      if (!gpu.counts_energy && !gpu.has_power) continue;
      MeterSource meter;
      meter.info.id = nvml->gpus().size() == 1 ? "nvml" : fmt::format("nvml{}", gpu.index);
      meter.info.covers = fmt::format("{} alone (NVML)", gpu.name);
      meter.info.part = true;
      meter.info.counter = gpu.counts_energy;
      meter.info.period_s = kNvmlPeriod;
      meter.info.step = kMilli;
      MeterTerm term;
      term.file = fmt::format("{} of GPU {} (NVML)", gpu.counts_energy ? "energy" : "power", gpu.index);
      const bool counts = gpu.counts_energy;
      term.read = [nvml, i, counts](double& value) {
        return counts ? nvml->energy(i, value) : nvml->power(i, value);
      };
      meter.terms.push_back(std::move(term));
      found_.push_back(std::move(meter));
    }
  }

  static void finish(MeterSource& source) {
    MeterInfo& info = source.info;
    info.window_s = std::max(0.02, 20 * info.period_s);
    // Drivers keep a value for a period: read just as often, it is now fresh and now a period old, and a step
    // of the power is lost or counted twice.
    info.sample_s = std::max(0.005, 0.5 * info.period_s);
    if (info.counter) {
      info.sample_s = 1;
      // Read often enough that it cannot come round unseen, whatever is drawn (1 kW).
      for (const MeterTerm& term : source.terms)
        if (term.range_j > 0) info.sample_s = std::min(info.sample_s, std::max(0.005, term.range_j / 4e3));
    }
    for (const MeterTerm& term : source.terms) {
      double value = 0;
      const int error = read_term(term, value);
      if (error != 0 && !source.obstacle) source.obstacle = sensor_error(error, term.file);
    }
  }

  // Of the chip's default: three channels, 1.1 ms each for voltage and current.
  static constexpr double kInaPeriod = 6.6e-3;
  // The driver does not say how often it looks; 20 to 100 ms were seen by others.
  static constexpr double kNvmlPeriod = 0.1;

  fs::path root_;
  std::vector<Rail> rails_;
  double slowest_s_ = 0;  // update interval that the drivers say
  std::vector<MeterSource> acpi_, found_;
};

}  // namespace

std::vector<MeterSource> find_sources(const fs::path& root) {
  return Finder(root).run();
}

int read_term(const MeterTerm& term, double& value) noexcept {
  if (term.read) return term.read(value);
  double first = 0, second = 1;
  if (const int error = sysfs::read_decimal(term.file, first); error != 0) return error;
  if (!term.times.empty()) {
    if (const int error = sysfs::read_decimal(term.times, second); error != 0) return error;
  }
  value = first * second * term.scale;
  return 0;
}

Error sensor_error(int error, const std::string& file) {
  const auto make = [&](ErrorCode code, const char* reason, const char* hint) {
    return Error(code, fmt::format("cannot read {}: {}", file, reason), hint);
  };
  switch (error) {
    case EACCES:
    case EPERM:
      return make(
          ErrorCode::permission, "permission denied",
          "run as root, or allow this user to read it (chmod a+r; RAPL counters are for root only since "
          "Linux 5.10)");
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return make(ErrorCode::unsupported, "the sensor is gone", "is its module still loaded?");
    case ENODATA:
    case EAGAIN:
    case EINVAL:
      return make(ErrorCode::unsupported, "the sensor gives no value now",
                  "its channel may be switched off (in*_enable), or the device asleep");
    default:
      return Error(ErrorCode::io,
                   fmt::format("cannot read {}: {}", file, std::generic_category().message(error)));
  }
}

}  // namespace dsn

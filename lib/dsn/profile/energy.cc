// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/energy.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/random.h"
#include "dsn/core/stats.h"
#include "dsn/core/units.h"
#include "dsn/platform/power.h"

namespace dsn {
namespace {

constexpr double kIdleTime = 0.3;
constexpr double kCoarse = 0.05;  // a sensor's step that is a larger part of a reading is told

std::string source_of(const MeterInfo& info) {
  return fmt::format("{}: {}, a fresh value every {}", info.covers,
                     info.counter ? "energy counter" : "power, sampled and integrated",
                     format_duration(info.period_s));
}

// Energy of one level over several windows, per inference.
struct LevelEnergy {
  std::size_t row = 0;  // in lut.levels
  std::vector<double> energies_j;
  double resolution = 0;  // largest part that the sensor's step is of a window
};

// Levels measured end to end at `point` whose energy is not measured.
std::vector<LevelEnergy> lacking(const Lut& lut, const OperatingPoint& point) {
  std::vector<LevelEnergy> rows;
  for (std::size_t i = 0; i < lut.levels.size(); ++i) {
    const auto at = lut.levels[i].at.find(point);
    if (at == lut.levels[i].at.end() || lut.levels[i].held_out) continue;
    const LutEntry& entry = at->second;
    if (!entry.energy_j || entry.energy_origin != Origin::measured) rows.push_back({i, {}, 0});
  }
  return rows;
}

class EnergyRun {
 public:
  EnergyRun(Executor& executor, const ProfileOptions& options, std::span<const float> input, Job& job)
      : executor_(executor), options_(options), input_(input), job_(job), meter_(*options.meter) {}

  EnergyReading idle() {
    meter_.start();
    const auto until = std::chrono::steady_clock::now() +
                       std::chrono::duration<double>(std::max(kIdleTime, meter_.info().window_s));
    while (std::chrono::steady_clock::now() < until && !job_.stop_requested())
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return meter_.stop();
  }

  // The window starts and ends with an inference; what lies between two is theirs.
  void window(LevelEnergy& level, std::size_t prepared) {
    executor_.activate(prepared);
    const Network& network = executor_.network();
    const auto side = static_cast<std::size_t>(network.resolution);
    const auto batch = static_cast<std::size_t>(options_.batch);
    const auto input = input_.first(batch * static_cast<std::size_t>(network.in_channels) * side * side);
    logits_.resize(batch * static_cast<std::size_t>(network.classes));
    executor_.infer(input, options_.batch, logits_);  // caches and pools of this level
    meter_.start();
    const double started = options_.clock();
    int done = 0;
    do {
      executor_.infer(input, options_.batch, logits_);
      ++done;
    } while (done < 3 || options_.clock() - started < meter_.info().window_s);
    const EnergyReading reading = meter_.stop();
    if (!(reading.energy_j > 0)) return;  // a window in which the sensor did not move tells nothing
    level.energies_j.push_back(reading.energy_j / done);
    level.resolution = std::max(level.resolution, reading.resolution_j / reading.energy_j);
  }

 private:
  Executor& executor_;
  const ProfileOptions& options_;
  std::span<const float> input_;
  Job& job_;
  EnergyMeter& meter_;
  std::vector<float> logits_;
};

void keep(const LevelEnergy& level, const OperatingPoint& point, Lut& lut) {
  if (level.energies_j.empty()) return;
  LutEntry& entry = lut.levels[level.row].at.at(point);
  entry.energy_j = median(level.energies_j);
  entry.energy_origin = Origin::measured;
  if (level.resolution > kCoarse) {
    entry.note += fmt::format("{}energy +-{}: the sensor's step", entry.note.empty() ? "" : "; ",
                              format_percent(level.resolution));
  }
}

}  // namespace

bool lacks_energy(const Lut& lut, const OperatingPoint& point) {
  return !lacking(lut, point).empty();
}

void begin_energy(const Platform& platform, const ProfileOptions& options, Lut& lut) {
  const bool modelled = lut.energy_source.starts_with("modelled");
  if (options.meter != nullptr) {
    const std::string source = source_of(options.meter->info());
    if (!lut.energy_source.empty() && !modelled && lut.energy_source != source) {
      throw Error(ErrorCode::mismatch,
                  fmt::format("cannot go on with this LUT: its energies are of \"{}\", this meter is \"{}\"",
                              lut.energy_source, source),
                  "measure into a new file, or choose that meter with --energy");
    }
    lut.energy_source = source;
  } else if (lut.energy_source.empty() && !platform.power_rail.empty()) {
    lut.energy_source = fmt::format("modelled: power model of {} ({})", platform.name, platform.power_rail);
  } else if (lut.energy_source.empty()) {
    lut.energy_reason = "no energy meter was used, and the platform has no power model";
  }
}

void measure_energy(Executor& executor, const ProfileOptions& options, std::span<const float> input, Lut& lut,
                    PointReport& report, const SaveLut& save, Job& job) {
  std::vector<LevelEnergy> levels = lacking(lut, report.point);
  if (levels.empty()) return;
  std::vector<LevelSpec> specs;
  for (const LevelEnergy& level : levels) specs.push_back({lut.levels[level.row].config, {}});
  executor.prepare(std::move(specs));
  executor.set_threads(report.point.threads);
  const int rounds = std::max(1, options.energy_windows);
  job.begin(fmt::format("energy {}", describe(report.point)), static_cast<double>(levels.size()) * rounds);
  EnergyRun run(executor, options, input, job);
  std::vector<std::size_t> order(levels.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  Rng rng = Rng::stream(options.seed, "profile.energy " + describe(report.point));
  double done = 0;
  bool stopped = false;
  try {
    report.idle = run.idle();
    for (int round = 0; round < rounds && !stopped; ++round) {
      rng.shuffle(std::span<std::size_t>(order));
      for (const std::size_t i : order) {
        if ((stopped = job.stop_requested())) break;
        run.window(levels[i], i);
        job.advance(++done);
      }
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::interrupted) throw;
    report.energy_problem = error.message();
    job.warn(fmt::format("energy is incomplete: {}", error.message()));
  }
  for (const LevelEnergy& level : levels) {
    // After an interruption only what had all its windows is worth keeping.
    if (stopped && static_cast<int>(level.energies_j.size()) < rounds) continue;
    keep(level, report.point, lut);
    report.energies += level.energies_j.empty() ? 0 : 1;
  }
  job.end();
  if (stopped) {
    if (save) save(lut);
    job.check_stop();
  }
}

void model_energy(const Platform& platform, const ProfileOptions& options, const OperatingPoint& point,
                  Lut& lut) {
  const auto power_w =
      modelled_power_w(platform, platform.clusters[options.cluster].name, point.freq_hz, point.threads);
  if (!power_w) return;
  for (LutLevel& level : lut.levels) {
    const auto at = level.at.find(point);
    if (at == level.at.end() || at->second.energy_j) continue;
    at->second.energy_j = *power_w * at->second.latency_s;
    at->second.energy_origin = Origin::modelled;
  }
}

}  // namespace dsn

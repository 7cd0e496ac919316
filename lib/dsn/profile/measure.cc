// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <thread>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/random.h"
#include "dsn/core/units.h"
#include "dsn/profile/co_runner.h"
#include "dsn/profile/energy.h"
#include "dsn/profile/point_run.h"

namespace dsn {
namespace {

void check_options(const ProfileOptions& options, const Platform& platform) {
  const auto refuse = [](const char* name, auto value, const char* expected) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("profile option {}: found {}, expected {}", name, value, expected));
  };
  if (options.cluster >= platform.clusters.size())
    refuse("cluster", options.cluster, "a cluster of the platform");
  const Cluster& cluster = platform.clusters[options.cluster];
  for (const std::size_t opp : options.opps) {
    if (opp >= cluster.opps.size()) refuse("opps", opp, "an operating point of the cluster");
  }
  if (options.threads.empty()) refuse("threads", "nothing", "at least one thread count");
  for (const int threads : options.threads) {
    if (threads < 1) refuse("threads", threads, "at least 1");
  }
  if (options.batch < 1) refuse("batch", options.batch, "at least 1");
  if (options.held_out < 0) refuse("held_out", options.held_out, "at least 0");
  if (options.repeats < 0) refuse("repeats", options.repeats, "at least 0");
  for (const CoLoad& load : options.loads) {
    if (load.workers < 1) refuse("loads", load.workers, "at least 1 worker");
  }
  if (options.warmup < 0) refuse("warmup", options.warmup, "at least 0");
  if (options.runs_per_visit < 1) refuse("runs_per_visit", options.runs_per_visit, "at least 1");
  if (options.min_runs < 3) refuse("min_runs", options.min_runs, "at least 3");
  if (!(options.rel_error > 0)) refuse("rel_error", options.rel_error, "above 0");
  if (!(options.min_time_s >= 0)) refuse("min_time_s", options.min_time_s, "at least 0");
  if (!(options.max_time_s >= options.min_time_s))
    refuse("max_time_s", options.max_time_s, "at least min_time_s");
}

void require_same(const char* what, const std::string& found, const std::string& expected) {
  if (found == expected) return;
  throw Error(
      ErrorCode::mismatch,
      fmt::format("cannot go on with this LUT: its {} is {}, but here it is {}", what, found, expected),
      "measure into a new file");
}

// Puts frequencies back on every way out.
class Restore {
 public:
  explicit Restore(FrequencyControl* control) : control_(control) {}
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;
  ~Restore() {
    if (control_ != nullptr) control_->restore();
  }

 private:
  FrequencyControl* control_;
};

// Canonical sub-networks, each once.
class Plan {
 public:
  explicit Plan(const SearchSpace& space) : space_(space) {}
  // Whether it is new. What is asked for by name is held out from nothing.
  bool add(const LevelSpec& spec, bool held_out = false) {
    SubnetConfig config = space_.canonical(spec.config);
    for (const PlannedLevel& level : levels_)
      if (level.spec.config == config) return false;
    levels_.push_back({{std::move(config), spec.bn}, held_out});
    return true;
  }
  std::vector<PlannedLevel> take() { return std::move(levels_); }

 private:
  const SearchSpace& space_;
  std::vector<PlannedLevel> levels_;
};

// What is measured end to end: the caller's sub-networks and, to fit sums of units to, extremes and random
// ones; then those that the fit does not see.
std::vector<PlannedLevel> end_to_end_levels(const SearchSpace& space, const std::vector<LevelSpec>& given,
                                            const ProfileOptions& options) {
  Plan plan(space);
  for (const LevelSpec& spec : given) plan.add(spec);
  if (!options.units) return plan.take();
  for (const int resolution : {space.resolutions().front(), space.resolutions().back()}) {
    for (SubnetConfig config : {space.smallest(), space.largest()}) {
      config.r = resolution;
      plan.add({config, {}});
    }
  }
  Rng rng = Rng::stream(options.seed, "profile.levels");
  for (int i = 0; i < options.random_levels; ++i) plan.add({space.sample(rng), {}});
  Rng other = Rng::stream(options.seed, "profile.held out");
  int left = options.held_out;
  // A small space has no more than it has.
  for (int tries = 0; left > 0 && tries < 20 * options.held_out; ++tries)
    left -= plan.add({space.sample(other), {}}, true) ? 1 : 0;
  return plan.take();
}

// What is measured beside other work.
std::vector<PlannedLevel> contended_levels(const SearchSpace& space, const std::vector<LevelSpec>& given) {
  Plan plan(space);
  for (const LevelSpec& spec : given) plan.add(spec);
  if (given.empty()) {
    plan.add({space.smallest(), {}});
    plan.add({space.largest(), {}});
  }
  return plan.take();
}

// Rows of sub-networks that are held out are told apart by themselves: a LUT that is resumed may have had
// others.
void mark_held_out(const std::vector<PlannedLevel>& planned, Lut& lut) {
  for (LutLevel& level : lut.levels) {
    for (const PlannedLevel& plan : planned)
      if (plan.spec.config == level.config) level.held_out = plan.held_out;
  }
}

// Random, roughly normal pixels as preprocessing makes them, enough for the largest resolution.
std::vector<float> make_input(const SearchSpace& space, const ProfileOptions& options) {
  const auto side = static_cast<std::size_t>(space.resolutions().back());
  std::vector<float> input(static_cast<std::size_t>(options.batch) *
                           static_cast<std::size_t>(space.in_channels()) * side * side);
  Rng rng = Rng::stream(options.seed, "profile.input");
  for (float& value : input) value = static_cast<float>(rng.normal());
  return input;
}

// A frequency that is not reached is a row under a wrong heading: said here, and marked by what is read
// beside the entries.
void set_frequency(FrequencyControl& control, const ProfileOptions& options, const Cluster& cluster,
                   std::size_t opp, Job& job) {
  const double asked_hz = cluster.opps[opp].freq_hz, got_hz = control.set_opp(options.cluster, opp);
  if (std::abs(got_hz - asked_hz) <= options.freq_tolerance * asked_hz) return;
  job.warn(fmt::format("cluster \"{}\": asked for {}, the kernel gave {} (a limit, a power mode or heat)",
                       cluster.name, format_frequency(asked_hz), format_frequency(got_hz)));
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void sleep_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace

Lut start_lut(const SearchSpace& space, const Platform& platform, std::string engine, std::string device) {
  Lut lut;
  lut.space_document = space.document();
  lut.space_sha256 = space.sha256();
  lut.platform_document = platform.document;
  lut.platform_sha256 = platform.sha256;
  lut.engine = std::move(engine);
  lut.device = std::move(device);
  lut.energy_reason = "energy was not measured";
  return lut;
}

std::vector<PointReport> profile_network(Executor& executor, const SearchSpace& space,
                                         const Platform& platform, FrequencyControl* control,
                                         const std::vector<LevelSpec>& levels, const ProfileOptions& given,
                                         Lut& lut, const SaveLut& save, Job& job) {
  ProfileOptions options = given;
  if (!options.clock && !options.speed && options.watch_speed) options.speed = SpeedProbe();
  if (!options.watch_speed) options.speed = nullptr;
  if (!options.clock) options.clock = steady_seconds;
  if (!options.sleep) options.sleep = sleep_for;
  check_options(options, platform);
  lut.require_space(space);
  require_same("platform_sha256", lut.platform_sha256, platform.sha256);
  require_same("engine", lut.engine, std::string(executor.name()));

  const Cluster& cluster = platform.clusters[options.cluster];
  const bool can_set = control != nullptr && options.move_frequencies && control->can_set(options.cluster);
  if (!can_set && !options.opps.empty()) {
    throw Error(ErrorCode::unsupported,
                fmt::format("the frequency of cluster \"{}\" cannot be set here", cluster.name),
                "run as root on a machine with cpufreq, or leave the frequency alone");
  }
  std::vector<std::size_t> opps = options.opps;
  if (opps.empty() && can_set) {
    for (std::size_t i = 0; i < cluster.opps.size(); ++i) opps.push_back(i);
  }
  // A governor that cannot be told gives a busy core its highest frequency; readings that say otherwise mark
  // the entry.
  if (opps.empty()) opps.push_back(cluster.opps.size() - 1);

  const std::vector<PlannedLevel> all = end_to_end_levels(space, levels, options);
  const std::vector<PlannedLevel> contended = contended_levels(space, levels);
  const std::vector<float> input = make_input(space, options);
  begin_energy(platform, options, lut);
  const Restore restore(control);
  ProfileRun shared{executor, space, control, options, input, lut, save, job, options.patience_s};
  shared.points = static_cast<int>(opps.size() * options.threads.size() * (1 + options.loads.size()));
  shared.started_s = options.clock();
  std::vector<PointReport> reports;
  for (const std::size_t opp : opps) {
    bool moved = false;
    const auto move = [&] {
      if (can_set && !moved) set_frequency(*control, options, cluster, opp, job);
      moved = true;
    };
    for (const int threads : options.threads) {
      const OperatingPoint point{cluster.name, threads, cluster.opps[opp].freq_hz, options.batch};
      PointRun run(shared, point, nullptr);
      if (run.plan(all)) {
        move();
        run.measure();
      }
      ++shared.point;
      mark_held_out(all, lut);
      reports.push_back(run.conclude());
      for (const CoLoad& load : options.loads) {
        PointRun beside(shared, point, &load);
        if (beside.plan(contended)) {
          move();
          const CoRunner runner(load);
          beside.measure();
        }
        ++shared.point;
      }
      if (options.meter != nullptr && lacks_energy(lut, point)) {
        move();
        measure_energy(executor, options, input, lut, reports.back(), save, job);
      } else if (options.meter == nullptr) {
        model_energy(platform, options, point, lut);
      }
      if (save) save(lut);
    }
  }
  return reports;
}

}  // namespace dsn

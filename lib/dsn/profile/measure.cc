// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/core/units.h"
#include "dsn/profile/correction.h"
#include "dsn/profile/energy.h"
#include "dsn/profile/probes.h"
#include "dsn/profile/series.h"

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

void add_distinct(std::vector<LevelSpec>& specs, LevelSpec spec) {
  const bool there =
      std::any_of(specs.begin(), specs.end(), [&](const LevelSpec& s) { return s.config == spec.config; });
  if (!there) specs.push_back(std::move(spec));
}

// What is measured end to end: the caller's sub-networks and, to check sums of units against, extremes and
// random ones.
std::vector<LevelSpec> end_to_end_levels(const SearchSpace& space, const std::vector<LevelSpec>& given,
                                         const ProfileOptions& options) {
  std::vector<LevelSpec> specs;
  for (const LevelSpec& spec : given) add_distinct(specs, {space.canonical(spec.config), spec.bn});
  if (!options.units) return specs;
  for (const int resolution : {space.resolutions().front(), space.resolutions().back()}) {
    for (SubnetConfig config : {space.smallest(), space.largest()}) {
      config.r = resolution;
      add_distinct(specs, {space.canonical(std::move(config)), {}});
    }
  }
  Rng rng = Rng::stream(options.seed, "profile.levels");
  for (int i = 0; i < options.random_levels; ++i) add_distinct(specs, {space.sample(rng), {}});
  return specs;
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

// A prepared sub-network that is measured: a probe (per unit) or a level (end to end).
struct Entry {
  SubnetConfig config;
  bool probe = false, visited = false;
  Series series;
};

// Everything about one operating point while it is measured.
class PointRun {
 public:
  PointRun(Executor& executor, const SearchSpace& space, FrequencyControl* control,
           const ProfileOptions& options, const OperatingPoint& point, Lut& lut)
      : executor_(executor), space_(space), control_(control), options_(options), point_(point), lut_(lut) {
    report_.point = point;
  }

  // Plans what is missing; nothing to do when it returns false.
  bool plan(const std::vector<LevelSpec>& levels) {
    if (options_.units) {
      for (const std::string& key : unit_keys(space_)) {
        const auto row = lut_.units.find(key);
        if (row == lut_.units.end() || row->second.count(point_) == 0) {
          missing_.insert(key);
        } else {
          ++report_.reused;
        }
      }
    }
    if (!missing_.empty()) {
      for (SubnetConfig& config : cover_units(space_, missing_, options_.min_probes, options_.seed)) {
        specs_.push_back({config, {}});
        entries_.push_back({std::move(config), true, false, {}});
        ++report_.probes;
      }
    }
    for (const LevelSpec& level : levels) {
      if (lut_.level_entry(level.config, point_) != nullptr) {
        ++report_.reused;
        continue;
      }
      specs_.push_back(level);
      entries_.push_back({level.config, false, false, {}});
    }
    return !entries_.empty();
  }

  void measure(std::span<const float> input, const SaveLut& save, Job& job) {
    const double started = now();
    double saved = started;
    executor_.prepare(std::move(specs_));
    executor_.set_threads(point_.threads);
    job.begin(fmt::format("profile {}", describe(point_)),
              static_cast<double>(entries_.size()) * options_.min_runs);
    Rng rng = Rng::stream(options_.seed, "profile.order " + describe(point_));
    std::vector<std::size_t> order(entries_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    while (!order.empty()) {
      rng.shuffle(std::span<std::size_t>(order));
      for (const std::size_t index : order) {
        if (job.stop_requested()) {
          commit();
          if (save) save(lut_);
          job.check_stop();
        }
        visit(index, input);
        job.advance(progress());
      }
      order.erase(std::remove_if(order.begin(), order.end(),
                                 [&](std::size_t i) { return entries_[i].series.finished; }),
                  order.end());
      if (save && !order.empty() && now() - saved >= options_.save_every_s) {
        commit();
        save(lut_);
        saved = now();
      }
    }
    commit();
    report_.measured = static_cast<int>(entries_.size());
    for (const Entry& entry : entries_) report_.unsettled += entry.series.settled ? 0 : 1;
    report_.seconds = now() - started;
    job.end();
  }

  // Sums of units against end-to-end rows; keeps the correction.
  PointReport conclude() {
    std::vector<double> sums, measured;
    for (const LutLevel& level : lut_.levels) {
      const auto row = level.at.find(point_);
      if (row == level.at.end()) continue;
      try {
        const double sum = lut_.unit_sum(make_network(space_, level.config), point_);
        report_.checks.push_back({level.config, sum, 0, row->second.latency_s});
        sums.push_back(sum);
        measured.push_back(row->second.latency_s);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found) throw;  // a LUT of levels only: nothing to check
      }
    }
    if (sums.empty()) return std::move(report_);
    const CorrectionFit fit = fit_correction(sums, measured);
    lut_.corrections[point_] = fit.correction;
    for (std::size_t i = 0; i < sums.size(); ++i) report_.checks[i].predicted_s = fit.held_out_s[i];
    report_.kendall_tau = fit.kendall_tau;
    return std::move(report_);
  }

 private:
  [[nodiscard]] double now() const { return options_.clock(); }

  [[nodiscard]] double frequency() const noexcept {
    return control_ == nullptr ? 0 : control_->frequency(options_.cluster);
  }

  [[nodiscard]] double progress() const {
    double done = 0;
    for (const Entry& entry : entries_) {
      done += entry.series.finished
                  ? options_.min_runs
                  : std::min<double>(static_cast<double>(entry.series.samples.size()), options_.min_runs - 1);
    }
    return done;
  }

  void visit(std::size_t index, std::span<const float> all_input) {
    Entry& entry = entries_[index];
    executor_.activate(index);
    const Network& network = executor_.network();
    const auto side = static_cast<std::size_t>(network.resolution);
    const auto batch = static_cast<std::size_t>(options_.batch);
    const auto input = all_input.first(batch * static_cast<std::size_t>(network.in_channels) * side * side);
    std::vector<float> logits(batch * static_cast<std::size_t>(network.classes));
    std::vector<double> stamps(network.units.size());
    const UnitObserver observer = [&](std::size_t unit) { stamps[unit] = now(); };
    const UnitObserver* used = entry.probe ? &observer : nullptr;

    entry.series.frequency.add(frequency());
    const int warmup = entry.visited ? std::min(options_.warmup, 1) : options_.warmup;
    for (int i = 0; i < warmup; ++i) executor_.infer(input, options_.batch, logits, used);
    entry.visited = true;
    std::vector<std::string> keys;
    if (entry.probe) {
      for (const Unit& unit : network.units) keys.push_back(unit.key());
    }
    for (int i = 0; i < options_.runs_per_visit; ++i) {
      std::fill(stamps.begin(), stamps.end(), -1);
      const double start = now();
      executor_.infer(input, options_.batch, logits, used);
      entry.series.add(now() - start);
      double before = start;
      for (std::size_t unit = 0; unit < keys.size(); ++unit) {
        if (stamps[unit] < before) {
          throw Error(ErrorCode::failed,
                      fmt::format("executor \"{}\" did not report unit {} (\"{}\") in its turn",
                                  executor_.name(), unit, keys[unit]));
        }
        if (missing_.count(keys[unit]) != 0) units_[keys[unit]].add(stamps[unit] - before);
        before = stamps[unit];
      }
    }
    entry.series.frequency.add(frequency());
    entry.series.judge(options_);
  }

  // Puts what is finished into the LUT. A unit is finished with a probe that has it, and takes its samples
  // from all of them.
  void commit() {
    std::map<std::string, FrequencySpan> finished;
    for (const Entry& entry : entries_) {
      if (!entry.series.finished) continue;
      if (!entry.probe) {
        level_row(entry.config)[point_] = make_entry(entry.series, point_, options_);
        continue;
      }
      for (const Unit& unit : make_network(space_, entry.config).units) {
        const std::string key = unit.key();
        if (missing_.count(key) != 0) finished[key].add(entry.series.frequency);
      }
    }
    for (const auto& [key, frequency] : finished) {
      Series& series = units_[key];
      series.frequency = frequency;
      series.settled = series.rel_error() <= options_.rel_error;
      lut_.units[key][point_] = make_entry(series, point_, options_);
    }
  }

  std::map<OperatingPoint, LutEntry>& level_row(const SubnetConfig& config) {
    for (LutLevel& level : lut_.levels) {
      if (level.config == config) return level.at;
    }
    lut_.levels.push_back({config, {}});
    return lut_.levels.back().at;
  }

  Executor& executor_;
  const SearchSpace& space_;
  FrequencyControl* control_;
  const ProfileOptions& options_;
  const OperatingPoint& point_;
  Lut& lut_;
  PointReport report_;
  std::set<std::string> missing_;
  std::vector<LevelSpec> specs_;
  std::vector<Entry> entries_;
  std::map<std::string, Series> units_;
};

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
  if (!options.clock) options.clock = steady_seconds;
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

  const std::vector<LevelSpec> all = end_to_end_levels(space, levels, options);
  const std::vector<float> input = make_input(space, options);
  begin_energy(platform, options, lut);
  const Restore restore(control);
  std::vector<PointReport> reports;
  for (const std::size_t opp : opps) {
    bool moved = false;
    for (const int threads : options.threads) {
      const OperatingPoint point{cluster.name, threads, cluster.opps[opp].freq_hz, options.batch};
      PointRun run(executor, space, control, options, point, lut);
      const auto move = [&] {
        if (can_set && !moved) set_frequency(*control, options, cluster, opp, job);
        moved = true;
      };
      if (run.plan(all)) {
        move();
        run.measure(input, save, job);
      }
      reports.push_back(run.conclude());
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

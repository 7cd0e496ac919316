// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/point_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "dsn/core/error.h"
#include "dsn/core/random.h"
#include "dsn/core/stats.h"
#include "dsn/profile/correction.h"
#include "dsn/profile/probes.h"

namespace dsn {
namespace {

constexpr double kVisit = 6e-4;   // seconds of samples between two looks at the speed
constexpr double kPause = 5e-3;   // between looks at a slow machine
constexpr double kSettle = 2e-4;  // after it, an executor's other threads have stopped looking for work

double known_speed(const ProfileRun& run, const OperatingPoint& point) {
  const auto given = run.options.own_speeds.find(point);
  const auto here = run.lut.speeds.find(point);
  return std::max(given == run.options.own_speeds.end() ? 0 : given->second,
                  here == run.lut.speeds.end() ? 0 : here->second.own_per_s);
}

}  // namespace

PointRun::PointRun(ProfileRun& run, const OperatingPoint& point, const CoLoad* load)
    : run_(run), options_(run.options), point_(point), load_(load), speeds_(known_speed(run, point)) {
  report_.point = point;
}

bool PointRun::plan(const std::vector<PlannedLevel>& levels) {
  if (options_.units && load_ == nullptr) {
    for (const std::string& key : unit_keys(run_.space)) {
      const auto row = run_.lut.units.find(key);
      if (row == run_.lut.units.end() || row->second.count(point_) == 0) {
        missing_.insert(key);
      } else {
        ++report_.reused;
      }
    }
  }
  if (!missing_.empty()) {
    for (SubnetConfig& config : cover_units(run_.space, missing_, options_.min_probes, options_.seed)) {
      specs_.push_back({config, {}});
      entries_.push_back({std::move(config), true, false, {}});
      ++report_.probes;
    }
  }
  for (const PlannedLevel& level : levels) {
    const SubnetConfig& config = level.spec.config;
    const LutEntry* there = load_ == nullptr ? run_.lut.level_entry(config, point_)
                                             : run_.lut.beside_entry(config, point_, *load_);
    if (there != nullptr) {
      ++report_.reused;
      continue;
    }
    specs_.push_back(level.spec);
    entries_.push_back({config, false, false, {}});
  }
  return !entries_.empty();
}

void PointRun::measure() {
  const double started = options_.clock();
  double saved = started;
  run_.executor.prepare(std::move(specs_));
  run_.executor.set_threads(point_.threads);
  const std::string place = run_.points > 1 ? fmt::format(" ({} of {})", run_.point + 1, run_.points) : "";
  run_.job.begin(fmt::format("profile {}{}{}", describe(point_),
                             load_ != nullptr ? " beside " + describe(*load_) : "", place),
                 static_cast<double>(entries_.size()));
  Rng rng = Rng::stream(options_.seed, "profile.order " + describe(point_));
  now_per_s_ = speed();
  while (true) {
    std::vector<std::size_t> order = unfinished();
    if (order.empty()) {
      // By now the machine's own speed may be known to be higher than when the first entries ended.
      judge_all();
      order = unfinished();
      if (order.empty()) break;
    }
    rng.shuffle(std::span<std::size_t>(order));
    round(order);
    if (run_.save && options_.clock() - saved >= options_.save_every_s) {
      commit();
      run_.save(run_.lut);
      saved = options_.clock();
    }
  }
  commit();
  report_.measured = static_cast<int>(entries_.size());
  for (const Entry& entry : entries_) {
    report_.unsettled += entry.series.is_settled(options_, standard()) ? 0 : 1;
    report_.disturbed += entry.series.is_disturbed(options_, standard()) ? 1 : 0;
    report_.set_aside += entry.series.entry(options_, standard()).set_aside;
  }
  if (!speeds_.empty()) {
    Lut::Speed& summary = run_.lut.speeds[point_] = speeds_.summary(options_.speed_tolerance);
    summary.waited_s = waited_s_;
  }
  report_.seconds = options_.clock() - started;
  run_.job.end();
}

void PointRun::round(std::vector<std::size_t>& order) {
  for (const std::size_t index : order) {
    if (run_.job.stop_requested()) {
      commit();
      if (run_.save) run_.save(run_.lut);
      run_.job.check_stop();
    }
    visit(index);
    tell_progress();
  }
}

// The job tells what is left of this point; of all points, the note does.
void PointRun::tell_progress() {
  double done = 0;
  for (const Entry& entry : entries_) done += entry.series.progress(options_);
  std::string note;
  const double part = (run_.point + done / static_cast<double>(entries_.size())) / run_.points;
  if (const double passed_s = options_.clock() - run_.started_s; run_.points > 1 && passed_s > 1)
    note = fmt::format("all points: about {:.0f} s left", passed_s / part * (1 - part));
  run_.job.advance(done, note);
}

Standard PointRun::standard() const noexcept {
  return {speeds_.own(), point_.freq_hz};
}

std::vector<std::size_t> PointRun::unfinished() const {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < entries_.size(); ++i)
    if (!entries_[i].series.finished) indices.push_back(i);
  return indices;
}

void PointRun::judge_all() {
  for (Entry& entry : entries_) entry.series.judge(options_, standard());
}

double PointRun::speed() {
  if (!options_.speed || load_ != nullptr) return 0;
  if (point_.threads > 1) options_.sleep(kSettle);
  return options_.speed();
}

void PointRun::await_own_speed() {
  const double started = options_.clock();
  while (run_.patience_s > 0 && speeds_.is_slow(now_per_s_, options_.speed_tolerance) &&
         !run_.job.stop_requested()) {
    options_.sleep(kPause);
    run_.patience_s -= kPause;
    now_per_s_ = speed();
  }
  waited_s_ += options_.clock() - started;
}

void PointRun::visit(std::size_t index) {
  await_own_speed();
  Entry& entry = entries_[index];
  run_.executor.activate(index);
  Surroundings around;
  const auto look = [&] {
    if (run_.control != nullptr) around.frequency.add(run_.control->frequency(options_.cluster));
    if (options_.temperature) {
      if (const auto temp_c = options_.temperature())
        around.temp_c = std::max(around.temp_c.value_or(*temp_c), *temp_c);
    }
  };
  look();
  const double before_per_s = now_per_s_;
  infer(entry);
  now_per_s_ = speed();
  if (now_per_s_ > 0) speeds_.add(now_per_s_);
  look();
  around.per_s = std::min(before_per_s, now_per_s_);
  entry.series.close(around);
  if (entry.probe) {
    for (const Unit& unit : run_.executor.network().units) {
      if (const auto series = units_.find(unit.key()); series != units_.end()) series->second.close(around);
    }
  }
  if (entry.series.due()) entry.series.judge(options_, standard());
}

void PointRun::infer(Entry& entry) {
  const Network& network = run_.executor.network();
  const auto side = static_cast<std::size_t>(network.resolution);
  const auto batch = static_cast<std::size_t>(options_.batch);
  const auto input = run_.input.first(batch * static_cast<std::size_t>(network.in_channels) * side * side);
  std::vector<float> logits(batch * static_cast<std::size_t>(network.classes));
  std::vector<double> stamps(network.units.size());
  const UnitObserver observer = [&](std::size_t unit) { stamps[unit] = options_.clock(); };
  const UnitObserver* used = entry.probe ? &observer : nullptr;

  const int warmup = entry.visited ? std::min(options_.warmup, 1) : options_.warmup;
  for (int i = 0; i < warmup; ++i) run_.executor.infer(input, options_.batch, logits, used);
  // A machine may change its speed in between: what lies between two looks is short.
  const double shortest_s = entry.series.shortest();
  const int runs = !options_.speed || load_ != nullptr || shortest_s <= 0
                       ? options_.runs_per_visit
                       : std::clamp(static_cast<int>(kVisit / shortest_s), 1, options_.runs_per_visit);
  entry.visited = true;
  std::vector<std::string> keys;
  if (entry.probe) {
    for (const Unit& unit : network.units) keys.push_back(unit.key());
  }
  for (int i = 0; i < runs; ++i) {
    std::fill(stamps.begin(), stamps.end(), -1);
    const double start = options_.clock();
    run_.executor.infer(input, options_.batch, logits, used);
    entry.series.add(options_.clock() - start);
    double before = start;
    for (std::size_t unit = 0; unit < keys.size(); ++unit) {
      if (stamps[unit] < before) {
        throw Error(ErrorCode::failed,
                    fmt::format("executor \"{}\" did not report unit {} (\"{}\") in its turn",
                                run_.executor.name(), unit, keys[unit]));
      }
      if (missing_.count(keys[unit]) != 0) units_[keys[unit]].add(stamps[unit] - before);
      before = stamps[unit];
    }
  }
}

void PointRun::commit() {
  std::set<std::string> finished;
  for (const Entry& entry : entries_) {
    if (!entry.series.finished) continue;
    if (entry.probe) {
      for (const Unit& unit : make_network(run_.space, entry.config).units)
        if (missing_.count(unit.key()) != 0) finished.insert(unit.key());
    } else if (load_ == nullptr) {
      level_row(entry.config).at[point_] = entry.series.entry(options_, standard());
    } else {
      level_row(entry.config).beside[{point_, *load_}] = entry.series.entry(options_, standard(), true);
    }
  }
  for (const std::string& key : finished)
    run_.lut.units[key][point_] = units_.at(key).entry(options_, standard());
}

LutLevel& PointRun::level_row(const SubnetConfig& config) {
  for (LutLevel& level : run_.lut.levels) {
    if (level.config == config) return level;
  }
  run_.lut.levels.push_back({config, {}, {}, false});
  return run_.lut.levels.back();
}

PointReport PointRun::conclude() {
  std::vector<double> sums, measured, held_out_s, held_out_measured;
  for (const LutLevel& level : run_.lut.levels) {
    const auto row = level.at.find(point_);
    if (row == level.at.end()) continue;
    const Network network = make_network(run_.space, level.config);
    try {
      const double sum = run_.lut.unit_sum(network, point_);
      report_.checks.push_back({level.config, level.held_out, sum, 0, row->second.latency_s});
      if (level.held_out) continue;
      sums.push_back(sum);
      measured.push_back(row->second.latency_s);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;  // a LUT of levels only: nothing to check
    }
  }
  if (sums.empty()) {
    report_.checks.clear();
    return std::move(report_);
  }
  CorrectionFit fit = fit_correction(sums, measured);
  auto left_out_s = fit.held_out_s.begin();
  for (LevelCheck& check : report_.checks) {
    if (!check.held_out) {
      check.predicted_s = *left_out_s++;
      continue;
    }
    check.predicted_s = fit.correction.scale * check.unit_sum_s + fit.correction.offset_s;
    held_out_s.push_back(check.predicted_s);
    held_out_measured.push_back(check.measured_s);
  }
  if (!held_out_s.empty()) {
    fit.correction.held_out = static_cast<int>(held_out_s.size());
    fit.correction.held_out_mape = mape(held_out_s, held_out_measured);
    fit.correction.held_out_tau = kendall_tau(held_out_s, held_out_measured);
  }
  run_.lut.corrections[point_] = fit.correction;
  report_.kendall_tau = fit.kendall_tau;
  return std::move(report_);
}

}  // namespace dsn

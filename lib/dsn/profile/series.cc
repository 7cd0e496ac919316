// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/series.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "dsn/core/stats.h"
#include "dsn/core/units.h"

namespace dsn {
namespace {

// Of an entry that is disturbed throughout.
double most_time(const ProfileOptions& options) {
  return options.min_time_s * (1 + options.repeats);
}

// quantile() by selection, not sorting: asked after every visit of samples that are many where inferences are
// short.
double select(std::vector<double>& samples, double q) {
  const double position = q * static_cast<double>(samples.size() - 1);
  const auto lower = samples.begin() + static_cast<std::ptrdiff_t>(position);
  std::nth_element(samples.begin(), lower, samples.end());
  if (lower + 1 == samples.end()) return *lower;
  const double weight = position - std::floor(position);
  return weight == 0 ? *lower : *lower + weight * (*std::min_element(lower + 1, samples.end()) - *lower);
}

}  // namespace

void FrequencySpan::add(double freq_hz) noexcept {
  if (freq_hz <= 0) return;
  lowest_hz = lowest_hz > 0 ? std::min(lowest_hz, freq_hz) : freq_hz;
  highest_hz = std::max(highest_hz, freq_hz);
}

void FrequencySpan::add(const FrequencySpan& other) noexcept {
  add(other.lowest_hz);
  add(other.highest_hz);
}

bool FrequencySpan::holds(double expected_hz, double tolerance) const noexcept {
  const double low = expected_hz > 0 ? expected_hz : lowest_hz;
  return highest_hz <= 0 || (lowest_hz >= low * (1 - tolerance) && highest_hz <= low * (1 + tolerance));
}

std::string FrequencySpan::note(double expected_hz, double tolerance) const {
  if (holds(expected_hz, tolerance)) return {};
  return fmt::format("frequency read {} to {}", format_frequency(lowest_hz), format_frequency(highest_hz));
}

double rel_error(std::span<const double> samples) {
  std::vector<double> scratch(samples.begin(), samples.end());
  const double p50 = scratch.empty() ? 0 : select(scratch, 0.5);
  if (p50 <= 0) return std::numeric_limits<double>::infinity();
  // The ranks between which the median is with 68 % are sqrt(n) / 2 away from the middle, whatever the
  // distribution: two modes, as a machine with two speeds has them, show where a deviation from one would
  // not.
  const double part = 0.5 / std::sqrt(static_cast<double>(samples.size()));
  const double low = select(scratch, std::max(0.0, 0.5 - part)),
               high = select(scratch, std::min(1.0, 0.5 + part));
  return 0.5 * (high - low) / p50;
}

double Series::shortest() const noexcept {
  return samples_.empty() ? 0 : *std::min_element(samples_.begin(), samples_.end());
}

void Series::close(const Surroundings& around) {
  const std::size_t first = visits_.empty() ? 0 : visits_.back().first + visits_.back().count;
  if (first == samples_.size()) return;
  visits_.push_back({first, samples_.size() - first, around});
  total_s_ = std::accumulate(samples_.begin() + static_cast<std::ptrdiff_t>(first), samples_.end(), total_s_);
}

bool Series::counts(const Visit& visit, const ProfileOptions& options, const Standard& standard) const {
  const Surroundings& around = visit.around;
  const bool fast = around.per_s <= 0 || around.per_s >= standard.own_per_s * (1 - options.speed_tolerance);
  return fast && (standard.freq_hz <= 0 || around.frequency.holds(standard.freq_hz, options.freq_tolerance));
}

void Series::take(const Visit& visit, Kept& kept) const {
  for (std::size_t i = visit.first; i < visit.first + visit.count; ++i) {
    kept.samples.push_back(samples_[i]);
    kept.total_s += samples_[i];
  }
  if (visit.around.per_s > 0) kept.speeds.push_back(visit.around.per_s);
  kept.frequency.add(visit.around.frequency);
  if (const auto temp_c = visit.around.temp_c) kept.temp_c = std::max(kept.temp_c.value_or(*temp_c), *temp_c);
}

Series::Kept Series::keep(const ProfileOptions& options, const Standard& standard) const {
  Kept kept;
  std::vector<const Visit*> others;
  for (const Visit& visit : visits_) {
    if (counts(visit, options, standard)) {
      take(visit, kept);
    } else {
      others.push_back(&visit);
    }
  }
  // In usual inferences: one that was held up for long is no more than one.
  const auto runs = kept.samples.size(), least = static_cast<std::size_t>(options.min_runs);
  std::vector<double> scratch = kept.samples;
  kept.useful_s = runs == 0 ? 0 : static_cast<double>(runs) * select(scratch, 0.5);
  if (others.empty() || (runs >= least && kept.useful_s >= options.min_time_s)) return kept;
  kept.disturbed = true;
  std::stable_sort(others.begin(), others.end(),
                   [](const Visit* a, const Visit* b) { return a->around.per_s > b->around.per_s; });
  for (const Visit* visit : others) {
    if (kept.samples.size() >= least && kept.total_s >= options.min_time_s) break;
    take(*visit, kept);
  }
  return kept;
}

void Series::judge(const ProfileOptions& options, const Standard& standard) {
  judge_at_ = visits_.size() + 1 + visits_.size() / 16;
  const Kept kept = keep(options, standard);
  const double runs = static_cast<double>(kept.samples.size()) / options.min_runs;
  const double time = options.min_time_s > 0 ? kept.useful_s / options.min_time_s : 1;
  useful_ = kept.disturbed ? 0 : std::min({1.0, runs, time});
  const int most_runs = options.min_runs * (options.repeats > 0 ? 2 : 1);
  finished = kept.disturbed
                 ? total_s_ >= most_time(options) && samples_.size() >= static_cast<std::size_t>(most_runs)
                 : useful_ >= 1 &&
                       (kept.total_s >= options.max_time_s || rel_error(kept.samples) <= options.rel_error);
}

bool Series::is_disturbed(const ProfileOptions& options, const Standard& standard) const {
  return keep(options, standard).disturbed;
}

bool Series::is_settled(const ProfileOptions& options, const Standard& standard) const {
  return rel_error(keep(options, standard).samples) <= options.rel_error;
}

double Series::progress(const ProfileOptions& options) const {
  if (finished) return 1;
  const double most_s = most_time(options);
  return std::min(0.98, std::max(useful_, most_s > 0 ? total_s_ / most_s : 0));
}

LutEntry Series::entry(const ProfileOptions& options, const Standard& standard, bool with_mean) const {
  const Kept kept = keep(options, standard);
  LutEntry entry;
  entry.latency_s = median(kept.samples);
  entry.mad_s = mad(kept.samples);
  entry.p90_s = tail_quantile(kept.samples, 0.9);
  entry.p99_s = tail_quantile(kept.samples, 0.99);
  if (with_mean) entry.mean_s = mean(samples_);
  entry.samples = static_cast<int>(kept.samples.size());
  entry.set_aside = static_cast<int>(samples_.size() - kept.samples.size());
  entry.temp_c = kept.temp_c;
  entry.latency_origin = Origin::measured;
  std::vector<std::string> notes;
  if (auto note = kept.frequency.note(standard.freq_hz, options.freq_tolerance); !note.empty())
    notes.push_back(std::move(note));
  if (!kept.speeds.empty() && standard.own_per_s > 0) {
    entry.speed = median(kept.speeds) / standard.own_per_s;
    if (entry.speed < 1 - options.speed_tolerance)
      notes.push_back(fmt::format("machine at {} of its own speed", format_percent(entry.speed)));
  }
  if (const double error = rel_error(kept.samples); error > options.rel_error)
    notes.push_back(fmt::format("not settled: p50 +-{}", format_percent(error)));
  for (const std::string& note : notes) entry.note += (entry.note.empty() ? "" : "; ") + note;
  return entry;
}

}  // namespace dsn

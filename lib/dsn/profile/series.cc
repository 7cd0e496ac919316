// SPDX-License-Identifier: Apache-2.0
#include "dsn/profile/series.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "dsn/core/stats.h"
#include "dsn/core/units.h"

namespace dsn {

void FrequencySpan::add(double freq_hz) noexcept {
  if (freq_hz <= 0) return;
  lowest_hz = lowest_hz > 0 ? std::min(lowest_hz, freq_hz) : freq_hz;
  highest_hz = std::max(highest_hz, freq_hz);
}

void FrequencySpan::add(const FrequencySpan& other) noexcept {
  add(other.lowest_hz);
  add(other.highest_hz);
}

std::string FrequencySpan::note(double expected_hz, double tolerance) const {
  if (highest_hz <= 0) return {};
  const double low = expected_hz > 0 ? expected_hz : lowest_hz,
               high = expected_hz > 0 ? expected_hz : lowest_hz;
  if (lowest_hz >= low * (1 - tolerance) && highest_hz <= high * (1 + tolerance)) return {};
  return fmt::format("frequency read {} to {}", format_frequency(lowest_hz), format_frequency(highest_hz));
}

void Series::add(double seconds) {
  samples.push_back(seconds);
  total_s += seconds;
}

double Series::rel_error() const {
  const double p50 = samples.empty() ? 0 : median(samples);
  if (p50 <= 0) return std::numeric_limits<double>::infinity();
  // Of a normal sample: sigma = 1.4826 MAD, and the median's standard error is 1.2533 sigma / sqrt(n).
  return 1.2533 * 1.4826 * mad(samples) / (p50 * std::sqrt(static_cast<double>(samples.size())));
}

void Series::judge(const ProfileOptions& options) {
  if (samples.size() < static_cast<std::size_t>(options.min_runs) || total_s < options.min_time_s) return;
  settled = rel_error() <= options.rel_error;
  finished = settled || total_s >= options.max_time_s;
}

LutEntry make_entry(const Series& series, const OperatingPoint& point, const ProfileOptions& options) {
  LutEntry entry;
  entry.latency_s = median(series.samples);
  entry.mad_s = mad(series.samples);
  entry.p90_s = tail_quantile(series.samples, 0.9);
  entry.p99_s = tail_quantile(series.samples, 0.99);
  entry.samples = static_cast<int>(series.samples.size());
  entry.latency_origin = Origin::measured;
  entry.note = series.frequency.note(point.freq_hz, options.freq_tolerance);
  if (!series.settled) {
    entry.note += fmt::format("{}not settled: p50 +-{}", entry.note.empty() ? "" : "; ",
                              format_percent(series.rel_error()));
  }
  return entry;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "cli/frequency_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "dsn/core/stats.h"
#include "dsn/core/units.h"
#include "dsn/runtime/latency_fit.h"

namespace dsn::cli {
namespace {

// Of each frequency, predicted from all others.
std::vector<double> left_out_errors(const std::vector<double>& freqs_hz, const std::vector<double>& seconds) {
  std::vector<double> errors;
  for (std::size_t out = 0; out < freqs_hz.size(); ++out) {
    std::vector<double> f = freqs_hz, t = seconds;
    f.erase(f.begin() + static_cast<std::ptrdiff_t>(out));
    t.erase(t.begin() + static_cast<std::ptrdiff_t>(out));
    errors.push_back(std::abs(fit_latency(f, t).at(freqs_hz[out]) / seconds[out] - 1));
  }
  return errors;
}

}  // namespace

std::vector<std::size_t> spread_opps(std::size_t all, std::size_t count) {
  count = std::min(count, all);
  std::vector<std::size_t> opps;
  for (std::size_t i = 0; i < count; ++i) opps.push_back(count < 2 ? all - 1 : i * (all - 1) / (count - 1));
  return opps;
}

std::string fit_text(const Lut& lut, const std::string& cluster) {
  struct Errors {
    std::vector<double> left_out;
    std::size_t levels = 0, freqs = 0;
    double fixed = 0;  // sum of the parts of the latency at the highest frequency that do not scale
  };
  std::map<int, Errors> by_threads;
  for (const LutLevel& level : lut.levels) {
    std::map<int, std::pair<std::vector<double>, std::vector<double>>> rows;
    for (const auto& [point, entry] : level.at) {
      if (point.cluster != cluster || point.freq_hz <= 0) continue;
      rows[point.threads].first.push_back(point.freq_hz);
      rows[point.threads].second.push_back(entry.latency_s);
    }
    for (const auto& [threads, row] : rows) {
      const auto& [freqs_hz, seconds] = row;
      if (freqs_hz.size() < 3) continue;
      Errors& errors = by_threads[threads];
      for (const double error : left_out_errors(freqs_hz, seconds)) errors.left_out.push_back(error);
      ++errors.levels;
      errors.freqs = std::max(errors.freqs, freqs_hz.size());
      const LatencyFit fit = fit_latency(freqs_hz, seconds);
      errors.fixed += fit.fixed_s / fit.at(*std::max_element(freqs_hz.begin(), freqs_hz.end()));
    }
  }
  std::string text;
  for (const auto& [threads, errors] : by_threads) {
    text += fmt::format(
        "{}, {} thread{}: T(f) = A/f + B over {} frequencies, {} sub-networks: error of a frequency left out "
        "{} "
        "(median; largest {}); B is {} of the latency at the highest\n",
        cluster, threads, threads == 1 ? "" : "s", errors.freqs, errors.levels,
        format_percent(median(errors.left_out)),
        format_percent(*std::max_element(errors.left_out.begin(), errors.left_out.end())),
        format_percent(errors.fixed / static_cast<double>(errors.levels)));
  }
  return text;
}

}  // namespace dsn::cli

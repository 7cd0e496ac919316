// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/demand_evidence.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dsn {
namespace {

// A demand this close below one that failed is the same work.
constexpr double kSame = 0.995;
// One miss is an accident; this many remembered ones are a rate.
constexpr double kManyMisses = 1.5;
constexpr double kForgotten = 0.1;  // of a miss, remembered

}  // namespace

void DemandEvidence::reset(double smallest_s) noexcept {
  smallest_s_ = smallest_s;
  forgive();
}

void DemandEvidence::forgive() noexcept {
  for (std::size_t p = 0; p < kMaxPlacements; ++p) {
    std::fill_n(bands_[p].begin(), highest_[p], Band{});
    highest_[p] = 0;
  }
}

DemandEvidence::Band& DemandEvidence::band(int placement, double demand_s, double now_s) noexcept {
  const double steps = std::log(std::max(demand_s / smallest_s_, 1.0)) / std::log(kBandRatio);
  const std::size_t index = std::min(kBands - 1, static_cast<std::size_t>(steps + 1e-6));
  const auto p = static_cast<std::size_t>(placement);
  highest_[p] = std::max(highest_[p], index + 1);
  Band& found = bands_[p][index];
  fade(found, now_s);
  return found;
}

void DemandEvidence::fade(Band& band, double now_s) const noexcept {
  const double passed_s = now_s - band.updated_s;
  if (passed_s > 0) {
    const double keep = std::exp2(-passed_s / options_.half_life_s);
    band.kept *= keep;
    band.missed *= keep;
  }
  band.updated_s = now_s;
}

void DemandEvidence::kept(int placement, double demand_s, double now_s, double p) noexcept {
  Band& found = band(placement, demand_s, now_s);
  found.kept += 1;
  // Long service in keeping with p clears old failures.
  if (found.missed < 0.5 && found.kept * (1 - p) > 4) found.failures = 0;
}

void DemandEvidence::missed(int placement, double demand_s, double now_s, double others_load) noexcept {
  Band& found = band(placement, demand_s, now_s);
  found.missed += 1;
  if (found.least_failed_s <= 0 || demand_s < found.least_failed_s) found.least_failed_s = demand_s;
  found.load_then = others_load;
}

void DemandEvidence::climb_failed(int placement, double demand_s, double now_s) noexcept {
  Band& found = band(placement, demand_s, now_s);
  found.failures = std::min(found.failures + 1, 16);
  const double backoff_s = options_.backoff_s * std::exp2(found.failures - 1);
  found.blocked_until_s = now_s + std::min(backoff_s, options_.max_backoff_s);
}

void DemandEvidence::climb_held(int placement, double demand_s, double now_s) noexcept {
  Band& found = band(placement, demand_s, now_s);
  found.failures = std::max(found.failures - 1, 0);
}

void DemandEvidence::withdraw(int placement, double demand_s, double now_s) noexcept {
  Band& found = band(placement, demand_s, now_s);
  found.missed = std::max(found.missed - 1, 0.0);
  if (found.blocked_until_s > now_s) {
    found.blocked_until_s = -1;
    found.failures = std::max(found.failures - 1, 0);
  }
  if (found.missed < kForgotten) found.least_failed_s = 0;
}

double DemandEvidence::ceiling(int placement, double now_s, double p, double others_load) noexcept {
  const auto at = static_cast<std::size_t>(placement);
  double lowest_s = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < highest_[at]; ++i) {
    Band& band = bands_[at][i];
    if (band.least_failed_s <= 0) continue;
    if (others_load >= 0 && band.load_then >= 0 && others_load < band.load_then - options_.load_relief)
      band = Band{};
    fade(band, now_s);
    // Some patience before a rate is believed: as many inferences as make half a miss at the rate allowed.
    const double allowed = 1 - p;
    const bool too_many =
        band.missed >= kManyMisses && band.missed > allowed * (band.kept + band.missed) + 0.5;
    if (band.blocked_until_s > now_s || too_many) lowest_s = std::min(lowest_s, band.least_failed_s);
  }
  return lowest_s * kSame;
}

}  // namespace dsn

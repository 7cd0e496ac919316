// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/live_clusters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dsn/core/error.h"

namespace dsn {
namespace {

// A governor moves frequencies within tens of milliseconds; reading one costs tens of microseconds.
constexpr double kFrequencyInterval = 0.05;

}  // namespace

LiveClusters::LiveClusters(const ManagerParts& parts, Job& job) : parts_(parts), job_(job) {
  const std::vector<Cluster>& clusters = parts.platform.clusters;
  views_.resize(clusters.size());
  state_.resize(clusters.size());
  for (std::size_t c = 0; c < clusters.size(); ++c) {
    views_[c].cluster = &clusters[c];
    state_[c].can_set =
        parts.frequencies != nullptr && parts.move_frequencies && parts.frequencies->can_set(c);
    show_opp(c, read_opp(c));
  }
  if (parts.load != nullptr) parts.load->poll(parts.clock.now_s());  // until the run begins there is a rate
}

LiveClusters::~LiveClusters() {
  const bool any = std::any_of(state_.begin(), state_.end(),
                               [](const ClusterState& state) { return state.set != kLeaveToGovernor; });
  if (any) parts_.frequencies->restore();
}

int LiveClusters::read_opp(std::size_t cluster) noexcept {
  state_[cluster].freq_hz = parts_.frequencies != nullptr ? parts_.frequencies->frequency(cluster) : 0;
  return nearest_opp(cluster, state_[cluster].freq_hz);
}

// The highest where the frequency could not be read.
int LiveClusters::nearest_opp(std::size_t cluster, double freq_hz) const noexcept {
  const std::vector<Opp>& opps = parts_.platform.clusters[cluster].opps;
  if (freq_hz <= 0) return static_cast<int>(opps.size()) - 1;
  const auto nearest = std::min_element(opps.begin(), opps.end(), [&](const Opp& a, const Opp& b) {
    return std::abs(a.freq_hz - freq_hz) < std::abs(b.freq_hz - freq_hz);
  });
  return static_cast<int>(nearest - opps.begin());
}

void LiveClusters::show_opp(std::size_t cluster, int opp) noexcept {
  ClusterView& view = views_[cluster];
  const std::vector<Opp>& opps = view.cluster->opps;
  const Opp& point = opps[static_cast<std::size_t>(opp)];
  view.opp = opp;
  view.idle_power_w = point.idle_power_w.value_or(0);
  view.busy_power_w = point.busy_power_w.value_or(0);
  const bool movable = state_[cluster].can_set;
  view.min_opp = movable ? 0 : opp;
  view.max_opp = movable ? static_cast<int>(opps.size()) - 1 : opp;
}

// Without it climbing back after contention waits for its back-off: slower, but latencies are still kept.
void LiveClusters::see_load(std::size_t cluster) noexcept {
  const double load = parts_.load->others_load(cluster);
  const bool known = load >= 0;
  if (state_[cluster].load_known && !known) {
    try {
      job_.warn(fmt::format(
          "cannot read any more how busy other work keeps cluster \"{}\"; deciding by latencies alone",
          parts_.platform.clusters[cluster].name));
    } catch (...) {  // a warning that cannot be printed
    }
  }
  state_[cluster].load_known = known;
  views_[cluster].others_load = load;
}

void LiveClusters::poll(double now_s) noexcept {
  if (parts_.load != nullptr) {
    parts_.load->poll(parts_.clock.now_s());
    for (std::size_t c = 0; c < views_.size(); ++c) see_load(c);
  }
  if (parts_.frequencies == nullptr || (read_s_ >= 0 && now_s - read_s_ < kFrequencyInterval)) return;
  read_s_ = now_s;
  for (std::size_t c = 0; c < views_.size(); ++c) {
    if (state_[c].set == kLeaveToGovernor) {
      show_opp(c, read_opp(c));
    } else {
      state_[c].lost = !parts_.frequencies->holds(c);
    }
  }
}

void LiveClusters::give_up(std::size_t cluster, const Error& error) {
  state_[cluster].can_set = false;
  job_.warn(fmt::format("{}; leaving cluster \"{}\" to its governor", error.message(),
                        parts_.platform.clusters[cluster].name));
}

// Only all clusters can be put back at once: the others are set again.
void LiveClusters::release(std::size_t cluster) {
  parts_.frequencies->restore();
  state_[cluster].set = kLeaveToGovernor;
  for (std::size_t c = 0; c < state_.size(); ++c)
    if (state_[c].set != kLeaveToGovernor)
      (void)parts_.frequencies->set_opp(c, static_cast<std::size_t>(state_[c].set));
  show_opp(cluster, read_opp(cluster));
}

void LiveClusters::set_opps(const Decision& decision) {
  for (std::size_t c = 0; c < state_.size(); ++c) {
    const int opp = decision.opp[c];
    if (!state_[c].can_set || (opp == state_[c].set && !state_[c].lost)) continue;
    try {
      if (opp == kLeaveToGovernor) {
        release(c);
        continue;
      }
      const double achieved_hz = parts_.frequencies->set_opp(c, static_cast<std::size_t>(opp));
      state_[c].set = opp;
      state_[c].lost = false;
      state_[c].freq_hz = achieved_hz;
      // A cap of the kernel may hold it lower: what runs is what the policy must see.
      show_opp(c, nearest_opp(c, achieved_hz));
    } catch (const Error& error) {
      give_up(c, error);
    }
  }
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/live_knobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dsn/core/error.h"

namespace dsn {
namespace {

// A governor moves frequencies within tens of milliseconds; reading one costs tens of microseconds.
constexpr double kFrequencyInterval = 0.05;

}  // namespace

LiveKnobs::LiveKnobs(const ManagedParts& parts, bool move_frequencies, Job& job) : parts_(parts), job_(job) {
  const std::vector<Cluster>& clusters = parts.platform.clusters;
  views_.resize(clusters.size());
  state_.resize(clusters.size());
  for (std::size_t c = 0; c < clusters.size(); ++c) {
    views_[c].cluster = &clusters[c];
    state_[c].can_set = parts.frequencies != nullptr && move_frequencies && parts.frequencies->can_set(c);
    show_opp(c, read_opp(c));
  }
  several_cpu_clusters_ = std::count_if(clusters.begin(), clusters.end(), [](const Cluster& cluster) {
                            return cluster.kind == ClusterKind::cpu;
                          }) > 1;
  if (parts.load != nullptr) parts.load->poll(parts.clock.now_s());  // until the run begins there is a rate
}

LiveKnobs::~LiveKnobs() {
  const bool any = std::any_of(state_.begin(), state_.end(),
                               [](const ClusterState& state) { return state.set != kLeaveToGovernor; });
  if (any) parts_.frequencies->restore();
}

int LiveKnobs::read_opp(std::size_t cluster) const noexcept {
  return nearest_opp(cluster, parts_.frequencies != nullptr ? parts_.frequencies->frequency(cluster) : 0);
}

// The highest where the frequency could not be read.
int LiveKnobs::nearest_opp(std::size_t cluster, double freq_hz) const noexcept {
  const std::vector<Opp>& opps = parts_.platform.clusters[cluster].opps;
  if (freq_hz <= 0) return static_cast<int>(opps.size()) - 1;
  const auto nearest = std::min_element(opps.begin(), opps.end(), [&](const Opp& a, const Opp& b) {
    return std::abs(a.freq_hz - freq_hz) < std::abs(b.freq_hz - freq_hz);
  });
  return static_cast<int>(nearest - opps.begin());
}

void LiveKnobs::show_opp(std::size_t cluster, int opp) noexcept {
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

void LiveKnobs::poll(double now_s) noexcept {
  if (parts_.load != nullptr) {
    parts_.load->poll(parts_.clock.now_s());
    for (std::size_t c = 0; c < views_.size(); ++c) views_[c].others_load = parts_.load->others_load(c);
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

int LiveKnobs::opp() const noexcept {
  const auto cluster = parts_.costs.placements()[static_cast<std::size_t>(placement_)].cluster;
  return views_[static_cast<std::size_t>(cluster)].opp;
}

void LiveKnobs::set_level(int level) {
  if (level == level_) return;
  parts_.executor.activate(static_cast<std::size_t>(level));
  level_ = level;
}

void LiveKnobs::set_threads(int threads) {
  if (threads == threads_) return;
  parts_.executor.set_threads(threads);
  threads_ = threads;
}

void LiveKnobs::set_placement(int placement) {
  if (placement == placement_) return;
  const Placement& next = parts_.costs.placements()[static_cast<std::size_t>(placement)];
  const Cluster& cluster = parts_.platform.clusters[static_cast<std::size_t>(next.cluster)];
  const bool moves = placement_ < 0 ||
                     parts_.costs.placements()[static_cast<std::size_t>(placement_)].cluster != next.cluster;
  if (moves && several_cpu_clusters_ && !cluster.cpus.empty()) affinity_.bind(cluster.cpus);
  set_threads(next.threads);
  placement_ = placement;
}

void LiveKnobs::give_up(std::size_t cluster, const Error& error) {
  state_[cluster].can_set = false;
  job_.warn(fmt::format("{}; leaving cluster \"{}\" to its governor", error.message(),
                        parts_.platform.clusters[cluster].name));
}

// Only all clusters can be put back at once: the others are set again.
void LiveKnobs::release(std::size_t cluster) {
  parts_.frequencies->restore();
  state_[cluster].set = kLeaveToGovernor;
  for (std::size_t c = 0; c < state_.size(); ++c)
    if (state_[c].set != kLeaveToGovernor)
      (void)parts_.frequencies->set_opp(c, static_cast<std::size_t>(state_[c].set));
  show_opp(cluster, read_opp(cluster));
}

void LiveKnobs::set_opps(const Decision& decision) {
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
      // A cap of the kernel may hold it lower: what runs is what the policy must see.
      show_opp(c, nearest_opp(c, achieved_hz));
    } catch (const Error& error) {
      give_up(c, error);
    }
  }
}

void LiveKnobs::apply(const Decision& decision) {
  const AppChoice choice = decision.apps[0];
  if (choice.level < 0 || choice.level >= parts_.costs.levels() || choice.placement < 0 ||
      choice.placement >= static_cast<int>(parts_.costs.placements().size())) {
    throw Error(ErrorCode::failed,
                fmt::format("policy {} chose level {} at placement {}, of {} levels and {} placements",
                            parts_.policy.name(), choice.level, choice.placement, parts_.costs.levels(),
                            parts_.costs.placements().size()));
  }
  set_opps(decision);
  set_placement(choice.placement);
  set_level(choice.level);
}

}  // namespace dsn

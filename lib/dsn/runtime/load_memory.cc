// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/load_memory.h"

#include <cmath>

namespace dsn {

LoadMemory::LoadMemory(const EvidenceOptions& options) noexcept
    : evidence_{DemandEvidence(options), DemandEvidence(options)} {}

void LoadMemory::reset(double smallest_s) noexcept {
  for (DemandEvidence& evidence : evidence_) evidence.reset(smallest_s);
  held_ = {};
  recent_ = {};
  in_a_row_ = 0;
}

int LoadMemory::enter(double others_load, double now_s) noexcept {
  const std::size_t now = others_load >= kLoaded ? 1 : 0;
  if (now == loaded_) return 0;
  in_a_row_ = 0;
  if (now == 0) {
    loaded_ = 0;
    return -1;
  }
  const std::array<Miss, 4> late = recent_;
  withdraw_recent(now_s);
  loaded_ = 1;
  for (const Miss& miss : late)
    if (now_s - miss.at_s <= kLag) evidence().missed(miss.placement, miss.demand_s, miss.at_s, others_load);
  return 1;
}

void LoadMemory::withdraw_recent(double now_s) noexcept {
  for (Miss& miss : recent_) {
    if (now_s - miss.at_s <= kLag) evidence().withdraw(miss.placement, miss.demand_s, now_s);
    miss = {};
  }
}

void LoadMemory::missed(int placement, double demand_s, double now_s, double others_load) noexcept {
  evidence().missed(placement, demand_s, now_s, others_load);
  recent_[next_] = {placement, demand_s, now_s};
  next_ = (next_ + 1) % recent_.size();
  in_a_row_ = 0;
}

void LoadMemory::kept(int placement, double demand_s, double now_s, double p, bool steady) noexcept {
  evidence().kept(placement, demand_s, now_s, p);
  if (!steady || std::abs(demand_s - row_demand_s_) > 0.02 * demand_s) in_a_row_ = 0;
  row_demand_s_ = demand_s;
  if (!steady || ++in_a_row_ < kHeld) return;
  held_[loaded_] = {placement, demand_s, now_s};
}

double LoadMemory::held_s(int placement, double now_s) const noexcept {
  const Held& held = held_[loaded_];
  return held.placement == placement && now_s - held.at_s <= kRemember ? held.demand_s : 0;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// The platform level of dsn's manager: given what each application's manager would accept, finds levels,
// placements and OPPs of all of them together.
//
// The search is exact: given placements, the clusters decouple, and given a cluster's OPP, the applications
// on it do, but for the cores they share (more work than cores is lateness). What is optimised is
// lexicographic, which is at once the objective and the order of degradation: lateness, then accuracy below
// the floors, then the objective (accuracy before power, or power before accuracy). Power is energy above
// idle per period plus idle power; where energy is not known, busy cores stand in for it and frequencies are
// left to the governor.
//
// plan() is noexcept and allocates nothing. thread-bound.
#pragma once

#include <array>
#include <span>

#include "dsn/runtime/application_manager.h"
#include "dsn/runtime/policy.h"

namespace dsn {

enum class Objective { max_accuracy, min_energy };

struct Plan {
  std::array<Setting, kMaxApps> apps{};
  std::array<int, kMaxClusters> opp{};  // or kLeaveToGovernor
  bool feasible = true;
};

class PlatformManager {
 public:
  // A change for power alone must save this part of it.
  static constexpr double kWorthwhile = 0.03;
  // Where there are more combinations of placements than this, only the deciding application's are tried and
  // the others keep theirs.
  static constexpr long kMostMappings = 4096;

  explicit PlatformManager(Objective objective) noexcept : objective_(objective) {}

  // managers[a] has begun with view.apps[a] for every active application. `app` is the one that decides.
  [[nodiscard]] Plan plan(const SystemView& view, std::span<const ApplicationManager> managers,
                          std::size_t app) noexcept;

 private:
  // Smaller is better, first entries first.
  using Score = std::array<double, 4>;
  using Mapping = std::array<int, kMaxApps>;  // placement per application
  struct Offer {
    int level = 0;
    double lateness = 0, shortfall = 0, accuracy = 0, power_w = 0, cores = 0;
  };
  struct Range {
    int low = 0, high = 0;  // OPPs to try
    bool governed = true;
  };
  // What every application of one mapping gets.
  struct Candidate {
    Score score{};
    Mapping mapping{};
    std::array<Offer, kMaxApps> offers{};
    std::array<int, kMaxClusters> opp{};
  };

  [[nodiscard]] Score score(const Offer& offer) const noexcept;
  [[nodiscard]] Offer offer(std::size_t app, const Setting& setting) const noexcept;
  void set_ranges() noexcept;
  void fill_offers() noexcept;
  [[nodiscard]] bool active(std::size_t app) const noexcept;
  [[nodiscard]] std::size_t cluster_of(std::size_t app, int placement) const noexcept;
  // Adds the cluster's part to the candidate, at the best OPP for its mapping.
  void settle_cluster(std::size_t cluster, Candidate& candidate) const noexcept;
  [[nodiscard]] Score at_opp(std::size_t cluster, int opp, const Mapping& mapping,
                             std::array<Offer, kMaxApps>& offers) const noexcept;
  [[nodiscard]] bool lower_one(std::size_t cluster, int opp, const Mapping& mapping,
                               std::array<Offer, kMaxApps>& offers) const noexcept;
  [[nodiscard]] Candidate search(std::size_t app) const noexcept;
  [[nodiscard]] bool present_candidate(Candidate& candidate) const noexcept;
  [[nodiscard]] bool keep(const Candidate& present, const Candidate& best) const noexcept;

  Objective objective_;
  // Of the call under way.
  std::span<const AppView> apps_;
  std::span<const ClusterView> clusters_;
  std::span<const ApplicationManager> managers_;
  bool energy_known_ = false;
  std::array<Range, kMaxClusters> ranges_{};
  std::array<std::array<std::array<Offer, kMaxOpps>, kMaxPlacements>, kMaxApps> offers_{};
};

}  // namespace dsn

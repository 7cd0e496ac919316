// SPDX-License-Identifier: Apache-2.0
// The platform level of dsn's manager: given what each application's manager would accept, finds levels,
// placements and OPPs of all of them together.
//
// The search is exact: given placements, the clusters decouple, and given a cluster's OPP, the applications
// on it do, but for the cores they share (more work than cores is lateness: then levels are lowered one at a
// time). What is optimised is lexicographic: the power cap, then goals that are missed, by priority and in
// the declared order, then the objective (score.h). Power is energy above idle per period plus idle power;
// where energy is not known, busy cores stand in for it and frequencies are left to the governor.
//
// A power cap couples clusters: where the best choice is above it, clusters take their shares in turn, those
// of the highest priority first, each leaving what the others need at least; and only the deciding
// application changes its placement.
//
// plan() is noexcept and allocates nothing. thread-bound.
#pragma once

#include <array>
#include <span>

#include "dsn/runtime/application_manager.h"
#include "dsn/runtime/policy.h"
#include "dsn/runtime/power_limits.h"
#include "dsn/runtime/score.h"

namespace dsn {

struct Plan {
  std::array<Setting, kMaxApps> apps{};
  std::array<int, kMaxClusters> opp{};  // or kLeaveToGovernor
  bool feasible = true;
};

struct PlatformOptions {
  Objective objective = Objective::max_accuracy;
  bool move_placements = true;  // false: the cheapest that keeps the first target, for ever
  bool move_opps = true;        // false: all clusters are left to their governors
  double dwell_s = 0.1;         // the managers': a change has at least so long to pay for itself
};

class PlatformManager {
 public:
  // A change for power or speed alone must save this part of it.
  static constexpr double kWorthwhile = 0.03;
  // Groups of applications on one cluster that are weighed at most: where there are more, only the deciding
  // application moves and the others keep their placements.
  static constexpr std::size_t kMostGroups = 64;

  explicit PlatformManager(const PlatformOptions& options) noexcept
      : options_(options), judge_(options.objective) {}

  // managers[a] has begun with view.apps[a] for every active application. `app` is the one that decides.
  [[nodiscard]] Plan plan(const SystemView& view, std::span<const ApplicationManager> managers,
                          std::size_t app) noexcept;

 private:
  using Mapping = std::array<int, kMaxApps>;  // placement per application
  using Offers = std::array<const Offer*, kMaxApps>;
  struct Range {
    int low = 0, high = 0;  // OPPs to try
    bool governed = true;
  };
  // Applications on one cluster.
  struct Group {
    std::array<std::size_t, kMaxApps> members{};
    std::size_t count = 0;
  };
  // What does not depend on the setting.
  struct Terms {
    double per_period = 0, per_target = 0, budget_j = 0;
    std::array<double, kMaxPlacements> threads{};
  };
  // What a group gets at one OPP.
  struct Share {
    Score score;
    double power_w = 0;  // of the cluster, idle power included
    int opp = kLeaveToGovernor;
    bool lowered = false;  // not every member got its own best
  };
  struct Candidate {
    Score score;
    Mapping mapping{};
    double power_w = 0;
    std::array<int, kMaxClusters> opp{};
    std::array<double, kMaxClusters> allowance_w{};  // of the power cap
  };

  [[nodiscard]] bool active(std::size_t app) const noexcept;
  [[nodiscard]] std::size_t cluster_of(std::size_t app, int placement) const noexcept;
  [[nodiscard]] int fixed_placement(std::size_t app) const noexcept;
  void set_ranges(const SystemView& view) noexcept;
  [[nodiscard]] double idle_at(std::size_t cluster, int opp) const noexcept;  // 0 when unknown
  [[nodiscard]] double idle_w(std::size_t cluster) const noexcept;  // at its present OPP; 0 when unknown
  void set_choices(std::size_t app, bool capped) noexcept;
  [[nodiscard]] Offer offer(std::size_t app, const Setting& setting) const noexcept;
  [[nodiscard]] Offer best_offer(std::size_t app, int placement, int opp) const noexcept;
  [[nodiscard]] const Offer& resolved(std::size_t app, int placement, int opp) noexcept;
  void set_terms() noexcept;
  void fill_offers() noexcept;

  [[nodiscard]] Group group_on(std::size_t cluster, const Mapping& mapping) const noexcept;
  [[nodiscard]] bool lower_one(const Group& group, int opp, const Mapping& mapping, bool for_power,
                               Offers& offers) noexcept;
  // Lowers offers where they do not fit together. allowance_w: power the cluster may take.
  [[nodiscard]] Share weigh(std::size_t cluster, int opp, const Group& group, const Mapping& mapping,
                            double allowance_w, Offers& offers) noexcept;
  [[nodiscard]] Share settle(std::size_t cluster, const Group& group, const Mapping& mapping,
                             double allowance_w) noexcept;
  template <typename Settle>
  [[nodiscard]] Candidate search(const Settle& settle_mapping) noexcept;
  [[nodiscard]] Candidate search_free() noexcept;
  [[nodiscard]] Candidate search_capped() noexcept;
  [[nodiscard]] double least_w_of(std::size_t cluster, const Group& group, const Mapping& mapping) noexcept;
  void share_power(Candidate& candidate) noexcept;
  [[nodiscard]] bool present_candidate(Candidate& candidate) noexcept;
  [[nodiscard]] bool keep(const Candidate& present, const Candidate& best) const noexcept;
  [[nodiscard]] double worthwhile(const Candidate& present, const Candidate& best) const noexcept;
  [[nodiscard]] Plan make_plan(const Candidate& chosen, bool stays) noexcept;

  PlatformOptions options_;
  Judge judge_;
  PowerLimits limits_;
  // Of the call under way.
  std::span<const AppView> apps_;
  std::span<const ClusterView> clusters_;
  std::span<const ApplicationManager> managers_;
  bool energy_known_ = false;
  std::array<Terms, kMaxApps> terms_{};
  double cap_w_ = 0;  // for all clusters together; infinity: none
  std::array<Range, kMaxClusters> ranges_{};
  // Placements that are tried, per application: [first, end).
  std::array<int, kMaxApps> first_choice_{}, end_choice_{};
  // What a placement adds to the number of its cluster's group.
  std::array<std::array<std::size_t, kMaxPlacements>, kMaxApps> digit_{};
  std::array<std::size_t, kMaxClusters> first_group_{};
  std::array<Share, kMostGroups> shares_{};
  std::array<bool, kMostGroups> weighed_{};
  std::array<std::array<std::array<Offer, kMaxOpps>, kMaxPlacements>, kMaxApps> offers_{};
  std::array<Offer, kMaxApps> lowered_{}, present_{};
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// What every policy sees and decides. One class per policy, bound to the real clock, executor and sysfs by
// `dsn run` and to the simulator by `dsn replay`: what you replay is what you run.
//
// All sizes are bounded so that the decision path neither allocates nor throws.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/platform/platform.h"
#include "dsn/profile/lut.h"
#include "dsn/search/family.h"

namespace dsn {

inline constexpr std::size_t kMaxApps = 8;
inline constexpr std::size_t kMaxClusters = 8;
inline constexpr std::size_t kMaxPlacements = 16;
inline constexpr std::size_t kMaxOpps = 64;
inline constexpr int kLeaveToGovernor = -1;

// Where an application's inferences can run.
struct Placement {
  int cluster = 0;  // index in the platform
  int threads = 1;
};

// Costs of one application's levels on one platform, dense and allocation-free to read. Immutable:
// thread-safe.
class CostTable {
 public:
  // Rows come from the LUT's end-to-end levels at batch 1. A placement is every (cluster, threads) at which
  // every level was measured; threads > 0 keeps only those with that many. OPPs that were not measured are
  // filled from T(f) = A/f + B fitted to those that were (two or more), and are then marked modelled. A
  // placement measured at one frequency, known or not, has one OPP, which stands for "as the governor ran
  // it": its frequency is no knob of ours. Throws Error{not_found}, naming level and point, when no placement
  // has all levels; Error{bad_input} for a family without levels, or more clusters, placements or OPPs than a
  // policy can hold.
  CostTable(const Family& family, const Lut& lut, const Platform& platform, int threads = 0);

  [[nodiscard]] int levels() const noexcept { return static_cast<int>(accuracy_.size()); }
  [[nodiscard]] double accuracy(int level) const noexcept {
    return accuracy_[static_cast<std::size_t>(level)];
  }
  // Levels from the most accurate down.
  [[nodiscard]] const std::vector<int>& by_accuracy() const noexcept { return by_accuracy_; }
  [[nodiscard]] const std::vector<Placement>& placements() const noexcept { return placements_; }
  // OPPs of the placement's cluster, or 1 when only one frequency was measured.
  [[nodiscard]] int opps(int placement) const noexcept;
  // For the following, an `opp` beyond opps(placement) reads the last one, so that the cluster's own index
  // always works. Undisturbed latency (p50), seconds.
  [[nodiscard]] double latency(int level, int placement, int opp) const noexcept {
    return cell(level, placement, opp).latency_s;
  }
  // Relative run-to-run spread of that latency (1.4826 * MAD / p50); of the nearest measured OPP where it is
  // modelled.
  [[nodiscard]] double spread(int level, int placement, int opp) const noexcept {
    return cell(level, placement, opp).spread;
  }
  // Energy of one inference above idle, joules. The LUT's energy less idle and base power over the latency,
  // where the LUT has it; else (busy - idle power) * latency * share of the cluster's cores; 0 when power is
  // unknown.
  [[nodiscard]] double energy(int level, int placement, int opp) const noexcept {
    return cell(level, placement, opp).energy_j;
  }
  [[nodiscard]] Origin latency_origin(int placement, int opp) const noexcept;
  // Every level, placement and OPP has an energy.
  [[nodiscard]] bool energy_known() const noexcept { return energy_known_; }
  // "cpu, 2 threads".
  [[nodiscard]] const std::string& placement_name(int placement) const noexcept;

 private:
  struct Cell {
    double latency_s = 0, spread = 0, energy_j = 0;
  };
  struct Grid {  // per placement
    int opps = 0;
    std::vector<Cell> cells;  // [level][opp]
    std::vector<Origin> origin;
    std::string name;
  };
  [[nodiscard]] const Cell& cell(int level, int placement, int opp) const noexcept {
    const Grid& grid = grids_[static_cast<std::size_t>(placement)];
    const int at = opp < grid.opps ? (opp < 0 ? 0 : opp) : grid.opps - 1;
    return grid.cells[static_cast<std::size_t>(level) * static_cast<std::size_t>(grid.opps) +
                      static_cast<std::size_t>(at)];
  }
  [[nodiscard]] bool add_placement(const Family& family, const Lut& lut, const Platform& platform,
                                   const Placement& placement, std::string& missing);

  std::vector<double> accuracy_;
  std::vector<int> by_accuracy_;
  std::vector<Placement> placements_;
  std::vector<Grid> grids_;
  bool energy_known_ = false;
};

// What an application can be asked to keep, and the order in which it is kept when not all of it can be: the
// last gives way first.
enum class Criterion { latency, accuracy, energy };
using Precedence = std::array<Criterion, 3>;
inline constexpr Precedence kDefaultPrecedence = {Criterion::latency, Criterion::accuracy, Criterion::energy};

// Monitors: the state a decision is made on.
struct AppView {
  const CostTable* costs = nullptr;
  double target_s = 0;        // latency target, counted from the scheduled arrival
  double probability = 0.99;  // share of inferences that shall meet it
  double min_accuracy = 0;    // floor, fraction
  double period_s = 0;        // expected time between arrivals; 0 when unknown
  double waited_s = 0;        // how long the inference about to start has waited since its scheduled arrival
  int level = 0, placement = 0;  // present choice
  bool active = true;            // has arrivals
  double energy_budget_j = 0;    // of one inference, above idle; 0: none
  int priority = 0;  // where not all can be satisfied, all goals of the higher one before any of the lower
};

struct ClusterView {
  int opp = 0;                                // present
  int max_opp = 0;                            // highest allowed now (power mode, thermal cap)
  double idle_power_w = 0, busy_power_w = 0;  // at the present OPP; 0 when unknown
  const Cluster* cluster = nullptr;
  int min_opp = 0;  // lowest allowed now; equal to max_opp where frequencies cannot be set
  // Cores that work which is not ours would keep busy, lately: what it got, or all cores when none was ever
  // idle (what it would take is then not known). Below 0 when unknown.
  double others_load = -1;
  std::optional<double> temp_c;      // nothing: no sensor, or it has failed
  std::optional<double> max_temp_c;  // cap; kept by lowering OPPs, so only where frequencies can be set
};

struct SystemView {
  double now_s = 0;
  std::span<const AppView> apps;
  std::span<const ClusterView> clusters;
  // Cap on the whole machine's power, kept before any goal; 0: none. Needs the platform's powers.
  double power_cap_w = 0;
  double base_power_w = 0;        // the platform's: what no cluster accounts for
  std::optional<double> power_w;  // the whole machine's, lately measured; nothing: no sensor
  Precedence precedence = kDefaultPrecedence;
};

// Knobs: what a decision sets.
struct AppChoice {
  int level = 0;
  int placement = 0;
};
struct Decision {
  std::array<AppChoice, kMaxApps> apps{};
  std::array<int, kMaxClusters> opp{};  // index, or kLeaveToGovernor
  bool feasible = true;  // false: no choice meets every target; this is the declared degradation
  // The kernel governor under which clusters that are left to one shall run, where they have it; empty: the
  // one that was found. Points into the policy.
  std::string_view governor{};
  bool made = true;  // false: the policy gave none in time, and this is what its watchdog set
};

// An inference that has ended, or an arrival that never ran.
struct Completion {
  int app = 0, level = 0, placement = 0, opp = 0;
  double scheduled_s = 0, start_s = 0, done_s = 0;
  double target_s = 0;
  bool dropped = false;  // skipped because the one before it overran: start_s and done_s mean nothing, the
                         // deadline is missed
};

class Policy {
 public:
  virtual ~Policy() = default;
  [[nodiscard]] virtual const std::string& name() const noexcept = 0;
  // Called once per application before anything is decided. Throws Error{bad_usage} when the policy asks for
  // what is not there ("static:9" of six levels).
  virtual void check(const CostTable& /*costs*/) const {}
  virtual void observe(const SystemView& view, const Completion& done) noexcept = 0;
  // Called when an inference of `app` is about to start. Choices for other apps take effect at their next
  // inference.
  [[nodiscard]] virtual Decision decide(const SystemView& view, std::size_t app) noexcept = 0;
  // Present estimate of an application's slowdown (mean), 1 when the policy keeps none.
  [[nodiscard]] virtual double slowdown(std::size_t /*app*/) const noexcept { return 1.0; }
};

// By name: what dsn does, and what it is compared with.
//   dsn[:OBJECTIVE]           levels, placements and OPPs; max-accuracy (default), min-energy, min-latency
//   subnet-only[:OBJECTIVE]   levels only
//   dvfs-only[:LEVEL]         OPPs only, for the least energy
//   static:LEVEL              nothing moves; an index, "largest" (also where LEVEL is optional) or "smallest"
//   governor:NAME[:LEVEL]     the same under the kernel's governor of this name
//   alert[:min-energy], slackfit   published ones: alert_policy.h, slackfit_policy.h
// Throws Error{bad_usage} listing what there is.
[[nodiscard]] std::unique_ptr<Policy> make_policy(const std::string& spec);
[[nodiscard]] std::vector<std::string> policy_names();

// From "latency,accuracy,energy": each once, what is kept longest first. Throws Error{bad_usage}.
[[nodiscard]] Precedence parse_precedence(const std::string& text);

}  // namespace dsn

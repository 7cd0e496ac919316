// SPDX-License-Identifier: Apache-2.0
// What a live run did: one record per arrival, and the summary of all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dsn/core/json.h"
#include "dsn/runtime/latency_histogram.h"
#include "dsn/runtime/policy.h"

namespace dsn {

// One arrival. Times are seconds since the run began. Of a skipped arrival only index, scheduled_s, target_s,
// level (active then) and label mean something. Of an aborted one, which ran until its deadline and was then
// given up, all but predicted do.
struct LiveRecord {
  std::int64_t index = 0;
  bool skipped = false, aborted = false;
  double scheduled_s = 0, start_s = 0, done_s = 0;  // start: input is ready
  double target_s = 0;
  int level = 0, placement = 0, opp = 0;
  int predicted = -1;
  std::optional<int> label;
  double slowdown = 1;     // the policy's estimate, after this inference
  double decision_s = 0;   // what deciding took
  bool feasible = true;    // the policy expected to meet every target
  bool undecided = false;  // the manager was stuck: the last setting that kept its deadline was used

  [[nodiscard]] double latency_s() const noexcept { return done_s - scheduled_s; }
  [[nodiscard]] bool met() const noexcept { return !skipped && !aborted && latency_s() <= target_s; }
};

// For a log of JSON lines. app: the application's name.
[[nodiscard]] Json to_json(const LiveRecord& record, const CostTable& costs, const std::string& app);

class RunSummary {
 public:
  struct AtLevel {
    std::int64_t count = 0, met = 0;  // of completed inferences
    double time_s = 0;                // from an inference's arrival to the next one's
  };

  RunSummary(const CostTable& costs, std::string policy, double target_s, double probability);
  // Records in order. service_ratio: measured over the LUT's latency, of completed ones. Allocates nothing.
  void add(const LiveRecord& record, double service_ratio) noexcept;
  // Ends the time at the last level.
  void finish(double duration_s, bool was_interrupted) noexcept;

  [[nodiscard]] std::int64_t arrivals() const noexcept { return completed + skipped + aborted; }
  // Skipped and aborted arrivals count as missed. Nothing when there were none.
  [[nodiscard]] std::optional<double> met_share() const noexcept;
  [[nodiscard]] std::optional<double> accuracy() const noexcept;  // over labelled completed frames
  [[nodiscard]] std::optional<double> expected_accuracy()
      const noexcept;  // mean of the levels' own, over completed frames
  [[nodiscard]] Json to_json() const;

  std::string policy;
  double target_s = 0;  // at first
  double probability = 0, duration_s = 0;
  bool interrupted = false;
  std::int64_t completed = 0, skipped = 0, aborted = 0, met = 0;
  std::int64_t labelled = 0, correct = 0;
  std::int64_t switches = 0;  // of level
  std::int64_t placement_switches = 0, opp_switches = 0;
  std::int64_t infeasible = 0;         // decisions that did not expect to meet every target
  std::int64_t undecided = 0;          // inferences that went on without a decision
  std::int64_t target_changes = 0;     // arrivals whose target was not the one before's
  LatencyHistogram latency, decision;  // of completed inferences
  std::vector<AtLevel> levels;
  double slowdown_mean = 1;  // measured over the LUT's latency, without what came before the start

 private:
  std::vector<double> level_accuracy_;
  double ratio_sum_ = 0, accuracy_sum_ = 0, last_scheduled_s_ = 0, last_target_s_ = 0;
  int last_level_ = -1, last_placement_ = 0, last_opp_ = 0;
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// A policy under a watchdog: it decides on a thread of its own, and an inference waits for it no longer than
// a deadline. A policy that hangs stops no application: all go on at a safe setting until it is back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "dsn/runtime/policy.h"
#include "dsn/runtime/static_policy.h"

namespace dsn {

struct WatchdogOptions {
  double deadline_s = 0.05;  // for one decision, with what was observed before it
  // What applications do while the policy is silent. "last": the last setting with which each met a deadline,
  // at the operating points of then; until there was one, its smallest level. Or "static:LEVEL", frequencies
  // left to the governor.
  std::string safe = "last";
};

struct WatchdogCounts {
  std::int64_t stalls = 0;      // times that the policy was late
  std::int64_t undecided = 0;   // decisions that were not the policy's
  std::int64_t unobserved = 0;  // completions that it was not told
  double longest_stall_s = 0;   // of those that ended
  bool stalled = false;         // now
};

// thread-compatible, as a policy is; counts() is thread-safe. Decides as the policy alone would while that
// keeps the deadline. slowdown() is what it said after its last decision. A decision allocates nothing and
// costs two changes of thread: its median was 14 to 24 us instead of 3 to 4 (one application of six levels,
// two Zen 4 cores, idle and beside stress-ng --cpu 2), and now and then it took the milliseconds until the
// kernel ran the other thread. So it is for who must go on at any price, and off by default.
class WatchedPolicy final : public Policy {
 public:
  // Throws Error{bad_usage} for a deadline that is not above 0, or a safe setting that is none.
  WatchedPolicy(std::unique_ptr<Policy> policy, const WatchdogOptions& options);
  // A policy that hangs is given one more deadline, then left behind with its thread: the cost tables and the
  // platform that it was shown must outlive it then.
  ~WatchedPolicy() override;
  WatchedPolicy(const WatchedPolicy&) = delete;
  WatchedPolicy& operator=(const WatchedPolicy&) = delete;

  [[nodiscard]] const std::string& name() const noexcept override;
  void check(const CostTable& costs) const override;
  void observe(const SystemView& view, const Completion& done) noexcept override;
  [[nodiscard]] Decision decide(const SystemView& view, std::size_t app) noexcept override;
  [[nodiscard]] double slowdown(std::size_t app) const noexcept override;
  [[nodiscard]] WatchdogCounts counts() const noexcept;

 private:
  class Desk;
  [[nodiscard]] Decision safe_decision(const SystemView& view) noexcept;
  WatchdogOptions options_;
  StaticPolicy fallback_;
  std::shared_ptr<Desk> desk_;             // shared with the policy's thread, which may outlive this
  std::array<AppChoice, kMaxApps> met_{};  // the choices that last met a deadline
  std::array<bool, kMaxApps> has_met_{};
  std::array<int, kMaxClusters> decided_opp_{}, met_opp_{};
  std::thread thread_;
};

}  // namespace dsn

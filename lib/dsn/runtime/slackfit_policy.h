// SPDX-License-Identifier: Apache-2.0
// The policy "slackfit": SuperServe's (Khare et al., "SuperServe: Fine-Grained Inference Serving for
// Unpredictable Workloads", NSDI 2025, https://arxiv.org/abs/2312.16733), to compare with.
//
// Faithful: the latencies of all levels are cut into buckets of equal width, each bucket keeps one choice,
// and an inference runs the choice of the highest bucket whose latency is below its slack (deadline less what
// was waited). Of a bucket the paper keeps the largest batch; here all batches are 1 and the most accurate
// level is kept. Left out: batching, and earliest deadline first between applications, which here do not
// queue for one another. The paper does not adapt to contention nor move frequencies: neither does this.
// Latencies are those at the present OPP; the number of buckets is ours.
#pragma once

#include <string>

#include "dsn/runtime/policy.h"

namespace dsn {

// Placement as in StaticPolicy, for the last level. observe() and decide() allocate nothing.
// thread-compatible.
class SlackFitPolicy final : public Policy {
 public:
  static constexpr int kBuckets = 8;
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  void observe(const SystemView& view, const Completion& done) noexcept override;
  [[nodiscard]] Decision decide(const SystemView& view, std::size_t app) noexcept override;

 private:
  std::string name_ = "slackfit";
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// The policies "static:LEVEL" and "governor:NAME:LEVEL": one level for ever, frequencies left to a governor
// of the kernel. What people deploy without dsn.
#pragma once

#include <string>

#include "dsn/runtime/policy.h"

namespace dsn {

// Throws Error{bad_usage} where `level` is beyond the family's last.
void check_level(const std::string& policy, int level, const CostTable& costs);

// Runs on the cheapest placement (core-seconds) that meets the target undisturbed, else the fastest.
// thread-compatible.
class StaticPolicy final : public Policy {
 public:
  static constexpr int kLargest = -1;  // last level
  // level: index or kLargest. governor: Decision's; empty leaves the one that is there.
  explicit StaticPolicy(int level, std::string governor = {});
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  void check(const CostTable& costs) const override;
  void observe(const SystemView& view, const Completion& done) noexcept override;
  // Precondition: check() passed for every application; a level beyond the last is the last.
  [[nodiscard]] Decision decide(const SystemView& view, std::size_t app) noexcept override;

 private:
  int level_;
  std::string governor_;
  std::string name_;
};

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
// The policies "static:LEVEL": one level for ever, frequencies left to the governor. What people deploy
// without dsn.
#pragma once

#include <string>

#include "dsn/runtime/policy.h"

namespace dsn {

// Runs on the cheapest placement (core-seconds) that meets the target undisturbed, else the fastest.
// thread-compatible.
class StaticPolicy final : public Policy {
 public:
  static constexpr int kLargest = -1;  // last level
  explicit StaticPolicy(int level);    // index or kLargest
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  void check(const CostTable& costs) const override;
  void observe(const SystemView& view, const Completion& done) noexcept override;
  // Precondition: check() passed for every application; a level beyond the last is the last.
  [[nodiscard]] Decision decide(const SystemView& view, std::size_t app) noexcept override;

 private:
  int level_;
  std::string name_;
};

}  // namespace dsn

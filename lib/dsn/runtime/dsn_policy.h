// SPDX-License-Identifier: Apache-2.0
// The policy "dsn": application managers and the platform manager, joined.
#pragma once

#include <string>
#include <vector>

#include "dsn/runtime/application_manager.h"
#include "dsn/runtime/platform_manager.h"
#include "dsn/runtime/policy.h"

namespace dsn {

struct DsnOptions {
  Objective objective = Objective::max_accuracy;
  ManagerOptions manager;
};

// observe(), decide() and slowdown() are noexcept and allocate nothing. thread-bound.
class DsnPolicy final : public Policy {
 public:
  explicit DsnPolicy(const DsnOptions& options = {});
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  void observe(const SystemView& view, const Completion& done) noexcept override;
  [[nodiscard]] Decision decide(const SystemView& view, std::size_t app) noexcept override;
  [[nodiscard]] double slowdown(std::size_t app) const noexcept override;

 private:
  std::string name_;
  std::vector<ApplicationManager> managers_;  // kMaxApps of them
  PlatformManager platform_;
};

}  // namespace dsn

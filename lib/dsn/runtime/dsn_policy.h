// SPDX-License-Identifier: Apache-2.0
// The policy "dsn": application managers and the platform manager, joined. "subnet-only" and "dvfs-only" are
// the same with one kind of knob taken away.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "dsn/runtime/application_manager.h"
#include "dsn/runtime/platform_manager.h"
#include "dsn/runtime/policy.h"

namespace dsn {

struct DsnOptions {
  std::string name = "dsn";
  ManagerOptions manager;
  PlatformOptions platform;
};

// observe(), decide() and slowdown() are noexcept and allocate nothing. thread-bound.
class DsnPolicy final : public Policy {
 public:
  explicit DsnPolicy(const DsnOptions& options = {});
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  void check(const CostTable& costs) const override;
  void observe(const SystemView& view, const Completion& done) noexcept override;
  [[nodiscard]] Decision decide(const SystemView& view, std::size_t app) noexcept override;
  [[nodiscard]] double slowdown(std::size_t app) const noexcept override;

 private:
  [[nodiscard]] SystemView seen(const SystemView& view) noexcept;

  std::string name_;
  int level_;
  bool move_opps_;
  std::vector<ApplicationManager> managers_;  // kMaxApps of them
  PlatformManager platform_;
  std::array<ClusterView, kMaxClusters> held_{};
};

}  // namespace dsn

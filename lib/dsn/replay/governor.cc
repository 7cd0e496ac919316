// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/governor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "dsn/core/error.h"
#include "dsn/core/units.h"
#include "dsn/replay/sampling_governors.h"

namespace dsn {
namespace {

constexpr std::string_view kUserspace = "userspace=";

// performance and powersave: the policy's highest or lowest OPP, at the start and whenever a limit moves.
class FixedGovernor final : public Governor {
 public:
  FixedGovernor(std::string_view name, bool highest) : name_(name), highest_(highest) {}
  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  [[nodiscard]] int initial_opp(int max_opp) const noexcept override { return highest_ ? max_opp : 0; }
  [[nodiscard]] int evaluate(double /*now_s*/, GovernorEvent /*event*/, int max_opp,
                             std::span<const TaskShare> /*running*/) noexcept override {
    return highest_ ? max_opp : 0;
  }

 private:
  std::string name_;
  bool highest_;
};

}  // namespace

int core_count(const Cluster& cluster) noexcept {
  return cluster.cpus.empty() ? 1 : static_cast<int>(cluster.cpus.size());
}

int opp_at_least(const Cluster& cluster, double freq_hz, int max_opp) noexcept {
  // One part in 1e9 below an OPP is that OPP: the request is a product of rounded numbers.
  for (int i = 0; i < max_opp; ++i) {
    if (cluster.opps[static_cast<std::size_t>(i)].freq_hz >= freq_hz * (1 - 1e-9)) return i;
  }
  return max_opp;
}

std::vector<std::string> governor_names(ClusterKind kind) {
  if (kind == ClusterKind::gpu)
    return {"performance", "powersave", "userspace=FREQ", "simple_ondemand", "nvhost_podgov"};
  return {"performance", "powersave", "userspace=FREQ", "ondemand", "conservative", "schedutil"};
}

std::unique_ptr<Governor> make_governor(std::string_view name, const Cluster& cluster, std::size_t tasks) {
  if (name == "performance") return std::make_unique<FixedGovernor>(name, true);
  if (name == "powersave") return std::make_unique<FixedGovernor>(name, false);
  if (name == "schedutil") return std::make_unique<Schedutil>(cluster, tasks);
  if (name == "ondemand") return std::make_unique<Ondemand>(cluster);
  if (name == "conservative") return std::make_unique<Conservative>(cluster);
  if (name == "simple_ondemand") return std::make_unique<SimpleOndemand>(cluster);
  if (name == "nvhost_podgov") return std::make_unique<Podgov>(cluster);
  if (name.starts_with(kUserspace)) {
    const double freq_hz = parse_frequency(name.substr(kUserspace.size()), "governor userspace");
    return std::make_unique<Userspace>(cluster, freq_hz);
  }
  std::vector<std::string> names = governor_names(ClusterKind::cpu);
  names.insert(names.end(), {"simple_ondemand", "nvhost_podgov"});
  throw Error(ErrorCode::bad_usage,
              fmt::format("unknown governor '{}', expected one of {}", name, fmt::join(names, ", ")));
}

}  // namespace dsn

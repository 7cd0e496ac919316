// SPDX-License-Identifier: Apache-2.0
// What surrounds a live run, under a test's control: policy, frequencies, job.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/core/job.h"
#include "dsn/platform/dvfs.h"
#include "dsn/runtime/policy.h"

namespace dsn::fakes {

// Does what a function says.
class Scripted final : public Policy {
 public:
  std::function<Decision(const SystemView&)> choose = [](const SystemView&) { return Decision{}; };
  std::vector<Completion> seen;
  std::vector<double> waited_s;
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  void observe(const SystemView& /*view*/, const Completion& done) noexcept override { seen.push_back(done); }
  Decision decide(const SystemView& view, std::size_t /*app*/) noexcept override {
    waited_s.push_back(view.apps[0].waited_s);
    return choose(view);
  }

 private:
  std::string name_ = "scripted";
};

class FakeFrequencies final : public FrequencyControl {
 public:
  std::vector<std::string> log;
  bool refuse = false, lost = false;
  int present = 2, cap = 2;  // the highest OPP that the kernel gives
  double set_opp(std::size_t cluster, std::size_t opp) override {
    if (refuse) throw Error(ErrorCode::permission, "cannot set policy0");
    log.push_back("set " + std::to_string(cluster) + " " + std::to_string(opp));
    present = std::min(static_cast<int>(opp), cap);
    lost = false;
    return frequency(cluster);
  }
  bool holds(std::size_t /*cluster*/) const noexcept override { return !lost; }
  double frequency(std::size_t /*cluster*/) const noexcept override { return 1e9 + 0.5e9 * present; }
  bool can_set(std::size_t /*cluster*/) const noexcept override { return true; }
  void restore() noexcept override {
    log.push_back("restore");
    present = 2;
  }
};

class TestJob final : public Job {
 public:
  std::function<bool()> stop = [] { return false; };
  std::vector<std::string> warnings;
  void warn(std::string_view line) override { warnings.emplace_back(line); }
  bool stop_requested() const noexcept override { return stop(); }
};

}  // namespace dsn::fakes

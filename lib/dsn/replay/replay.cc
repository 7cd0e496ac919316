// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "dsn/core/error.h"

namespace dsn {
namespace {

constexpr const char* kGovernorSpecs[] = {"performance", "powersave", "schedutil"};

}  // namespace

PolicySpec parse_policy_spec(const std::string& text) {
  PolicySpec spec{text, text, {}};
  const std::size_t colon = text.find(':');
  const std::string head = text.substr(0, colon);
  if (std::find(std::begin(kGovernorSpecs), std::end(kGovernorSpecs), head) != std::end(kGovernorSpecs)) {
    spec.policy = "static:" + (colon == std::string::npos ? std::string("largest") : text.substr(colon + 1));
    if (head != "schedutil") spec.governors = {head, head};
  }
  try {
    (void)make_policy(spec.policy);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("policy '{}': {}", text, error.message()),
                fmt::format("replay knows {}", fmt::join(replay_policy_names(), ", ")));
  }
  return spec;
}

std::vector<std::string> replay_policy_names() {
  std::vector<std::string> names = policy_names();
  names.insert(names.end(), std::begin(kGovernorSpecs), std::end(kGovernorSpecs));
  return names;
}

Json replay(const LoadedWorkload& loaded, const ReplayOptions& options, Job& job) {
  const Workload& workload = loaded.workload;
  std::vector<PolicySpec> specs;
  for (const std::string& text : options.policies) {
    specs.push_back(parse_policy_spec(text));
  }
  if (specs.empty()) {
    throw Error(ErrorCode::bad_usage, "no policy to replay",
                fmt::format("replay knows {}", fmt::join(replay_policy_names(), ", ")));
  }

  const std::uint64_t seed = options.seed.value_or(workload.trace.seed);
  std::vector<PolicyRun> runs(specs.size());
  std::vector<std::exception_ptr> failures(specs.size());
  std::atomic<std::size_t> next{0};
  std::mutex progress;
  job.begin("replay", static_cast<double>(specs.size()));
  const auto work = [&] {
    for (std::size_t i = next++; i < specs.size(); i = next++) {
      try {
        const std::unique_ptr<Policy> policy = make_policy(specs[i].policy);
        const SimOptions sim{seed, specs[i].governors, {}};
        runs[i] = {specs[i].text, policy->name(), specs[i].governors, simulate(workload, *policy, sim, job)};
        const std::lock_guard lock(progress);
        job.advance(1, specs[i].text);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    }
  };
  {
    const std::size_t wanted = static_cast<std::size_t>(std::max(1, options.threads));
    std::vector<std::jthread> helpers;
    for (std::size_t t = 1; t < std::min(wanted, specs.size()); ++t) helpers.emplace_back(work);
    work();
  }
  job.end();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return replay_report(loaded, seed, runs);
}

}  // namespace dsn

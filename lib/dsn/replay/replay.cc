// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "dsn/core/error.h"
#include "dsn/replay/fail_if.h"
#include "dsn/replay/governor.h"
#include "dsn/replay/metrics.h"
#include "dsn/replay/oracle.h"

namespace dsn {
namespace {

constexpr const char* kOracle = "oracle";
constexpr std::string_view kGovernor = "governor:";

bool is_governor(const std::string& name, ClusterKind kind) {
  const std::vector<std::string> names = governor_names(kind);
  return name.starts_with("userspace=") || std::find(names.begin(), names.end(), name) != names.end();
}

// "schedutil+simple_ondemand" of "schedutil+simple_ondemand:2": governors by kind of cluster.
std::optional<GovernorNames> read_governors(const std::string& head) {
  const std::size_t plus = head.find('+');
  const std::string cpu = head.substr(0, plus);
  if (!is_governor(cpu, ClusterKind::cpu)) return std::nullopt;
  GovernorNames names{cpu, GovernorNames{}.gpu};
  // devfreq has governors of these names, too.
  if (is_governor(cpu, ClusterKind::gpu)) names.gpu = cpu;
  if (plus != std::string::npos) {
    names.gpu = head.substr(plus + 1);
    if (!is_governor(names.gpu, ClusterKind::gpu)) {
      throw Error(ErrorCode::bad_usage,
                  fmt::format("policy '{}': unknown governor '{}' of a GPU", head, names.gpu),
                  fmt::format("there are {}", fmt::join(governor_names(ClusterKind::gpu), ", ")));
    }
  }
  for (const std::string& name : {names.cpu, names.gpu}) {
    if (name.starts_with("userspace=")) (void)make_governor(name, Cluster{}, 0);  // a frequency or not
  }
  return names;
}

}  // namespace

PolicySpec parse_policy_spec(const std::string& text) {
  PolicySpec spec{text, text, {}};
  if (text == kOracle) return spec;
  const std::string plain = text.starts_with(kGovernor) ? text.substr(kGovernor.size()) : text;
  const std::size_t colon = plain.find(':');
  if (const auto governors = read_governors(plain.substr(0, colon))) {
    spec.policy = "static:" + (colon == std::string::npos ? std::string("largest") : plain.substr(colon + 1));
    spec.governors = *governors;
  }
  try {
    (void)make_policy(spec.policy);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("policy '{}': {}", text, error.message()),
                fmt::format("replay knows {}", fmt::join(replay_policy_names(), ", ")));
  }
  return spec;
}

bool is_oracle(const PolicySpec& spec) noexcept {
  return spec.text == kOracle;
}

std::vector<std::string> replay_policy_names() {
  std::vector<std::string> names = policy_names();
  for (const std::string& name : governor_names(ClusterKind::cpu)) names.push_back(name);
  names.emplace_back(kOracle);
  return names;
}

namespace {

// Calls work(i) for 0..count-1 on up to `threads` threads; the first failure is thrown when all have ended.
template <typename Work>
void in_parallel(std::size_t count, int threads, Work&& work) {
  std::vector<std::exception_ptr> failures(count);
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (std::size_t t = 1; t < std::min(static_cast<std::size_t>(std::max(1, threads)), count); ++t)
      helpers.emplace_back(loop);
    loop();
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

PolicyRun run_one(const Workload& workload, const PolicySpec& spec, const Oracle* oracle, std::uint64_t seed,
                  const Job& job) {
  PolicyRun run{spec.text, spec.text, spec.governors, {}, {}};
  if (is_oracle(spec)) {
    run.result = oracle->result(seed);
    run.bound = ServiceBound{run.result.total_j(), run.result.total_j()};
    return run;
  }
  const std::unique_ptr<Policy> policy = make_policy(spec.policy);
  run.name = policy->name();
  SimOptions options;
  options.seed = seed;
  options.governors = spec.governors;
  if (oracle != nullptr) {
    run.bound = ServiceBound{oracle->standing_j(), oracle->standing_j()};
    options.on_inference = [&](const InferenceRecord& record) { oracle->add(record, *run.bound); };
  }
  run.result = simulate(workload, *policy, options, job);
  return run;
}

}  // namespace

Json replay(const LoadedWorkload& loaded, const ReplayOptions& options, Job& job) {
  const Workload& workload = loaded.workload;
  std::vector<PolicySpec> specs;
  for (const std::string& text : options.policies) specs.push_back(parse_policy_spec(text));
  if (specs.empty()) {
    throw Error(ErrorCode::bad_usage, "no policy to replay",
                fmt::format("replay knows {}", fmt::join(replay_policy_names(), ", ")));
  }
  std::vector<std::string> apps;
  for (const TraceApp& app : workload.trace.apps) apps.push_back(app.name);
  std::vector<Condition> conditions;
  for (const std::string& text : options.fail_if)
    conditions.push_back(parse_condition(text, options.policies, apps));

  std::optional<Oracle> oracle;
  for (const PolicySpec& spec : specs) {
    if (is_oracle(spec)) oracle.emplace(workload);
  }
  const std::size_t many = static_cast<std::size_t>(std::max(1, options.seeds));
  std::vector<std::uint64_t> seeds;
  for (std::size_t s = 0; s < many; ++s) seeds.push_back(options.seed.value_or(workload.trace.seed) + s);
  std::vector<Json> policies(specs.size());
  std::vector<std::vector<Figures>> figures(specs.size(), std::vector<Figures>(many));
  std::mutex progress;
  job.begin("replay", static_cast<double>(specs.size() * many));
  in_parallel(specs.size() * many, options.threads, [&](std::size_t i) {
    const std::size_t policy = i / many, seed = i % many;
    const Json json = policy_json(
        workload, run_one(workload, specs[policy], oracle ? &*oracle : nullptr, seeds[seed], job));
    figures[policy][seed] = figures_of(json);
    if (seed == 0) policies[policy] = json;
    const std::lock_guard lock(progress);
    job.advance(1, specs[policy].text);
  });
  job.end();
  for (std::size_t p = 0; p < specs.size(); ++p) policies[p]["figures"] = over_seeds(figures[p]);
  Json report = replay_report(loaded, seeds, std::move(policies));
  if (!conditions.empty()) report["conditions"] = judge(conditions, report);
  return report;
}

}  // namespace dsn

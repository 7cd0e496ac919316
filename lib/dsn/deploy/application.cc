// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/application.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "dsn/core/error.h"

namespace dsn {

const Lut& costs_here(const Bundle& bundle, const Platform& platform, const std::string& engine) {
  const std::vector<std::string> built = executor_names();
  if (built.empty()) (void)make_executor(engine, bundle.space, bundle.weights);  // throws what is missing
  const std::vector<std::string> engines = engine == "auto" ? built : std::vector<std::string>{engine};
  for (const std::string& name : engines) {
    if (const Lut* lut = bundle.find_lut(platform.sha256, name)) return *lut;
  }
  throw Error(ErrorCode::mismatch,
              fmt::format("bundle {} was measured on {}; this is '{}' with engine {}", bundle.path.string(),
                          bundle.measured_on(), platform.name, fmt::join(engines, " or ")),
              "on this device: dsn profile --levels FAMILY --no-units, then dsn export --lut");
}

struct Application::Parts {
  Bundle bundle;
  Platform platform;
  std::unique_ptr<Policy> policy;
  std::unique_ptr<Executor> executor;
  CostTable costs;
  std::unique_ptr<LoadMonitor> load;
  std::unique_ptr<LiveManager> manager;
  std::unique_ptr<ManagedInference> managed;
  std::int64_t frames = 0;
};

namespace {

Platform this_platform(const fs::path& file) {
  return file.empty() ? parse_platform(discover_platform(), "this machine") : load_platform(file);
}

}  // namespace

Application::Application(const fs::path& bundle_path, const ApplicationOptions& options) {
  check_goal(options.goal);
  if (options.warmup < 0)
    throw Error(ErrorCode::bad_usage,
                fmt::format("warm-up inferences: found {}, expected 0 or more", options.warmup));
  auto policy = make_policy(options.policy);
  Bundle bundle = Bundle::open(bundle_path);
  Platform platform = this_platform(options.platform);
  const Lut& lut = costs_here(bundle, platform, options.engine);
  auto executor = make_executor(lut.engine, bundle.space, bundle.weights, options.device);
  CostTable costs(bundle.family, lut, platform, options.threads);
  require_feasible(costs, options.goal);
  executor->prepare(bundle.levels);
  parts_ = std::make_unique<Parts>(Parts{std::move(bundle), std::move(platform), std::move(policy),
                                         std::move(executor), std::move(costs), nullptr, nullptr, nullptr});
  Parts& p = *parts_;
  p.load = make_load_monitor(p.platform);
  p.manager = std::make_unique<LiveManager>(
      ManagerParts{p.platform, *p.policy, nullptr, p.load.get(), monotonic_clock(), false}, silent_job());
  p.managed = std::make_unique<ManagedInference>(
      "app", AppParts{*p.executor, p.bundle.preprocessing, p.costs}, *p.manager, options.goal);
  p.managed->warm_up(options.warmup);
  p.manager->start();
}

Application::Application(Application&&) noexcept = default;
Application& Application::operator=(Application&&) noexcept = default;
Application::~Application() = default;

void Application::set_goal(const Goal& goal) {
  check_goal(goal);
  require_feasible(parts_->costs, goal);
  parts_->managed->set_goal(goal);
}

const Goal& Application::goal() const noexcept {
  return parts_->managed->goal();
}

Answer Application::classify(const Image& image, double age_s) {
  if (!(age_s >= 0) || !std::isfinite(age_s)) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("age of a frame in seconds: found {}, expected 0 or more", age_s));
  }
  ManagedInference& managed = *parts_->managed;
  LiveRecord record;
  record.index = parts_->frames;
  record.scheduled_s = parts_->manager->now_s() - age_s;
  record.target_s = managed.goal().target_s;
  parts_->manager->poll();
  managed.infer(image, record);
  ++parts_->frames;
  const auto scores = managed.logits();
  const float highest = scores[static_cast<std::size_t>(record.predicted)];
  float sum = 0;
  for (const float score : scores) sum += std::exp(score - highest);
  return {record.predicted, 1 / sum,      record.level,   record.latency_s(),
          record.slowdown,  record.met(), record.feasible};
}

std::span<const float> Application::logits() const noexcept {
  return parts_->frames > 0 ? parts_->managed->logits() : std::span<const float>();
}

const Bundle& Application::bundle() const noexcept {
  return parts_->bundle;
}

const std::string& Application::class_name(int class_index) const {
  const auto& names = parts_->bundle.class_names;
  if (class_index < 0 || static_cast<std::size_t>(class_index) >= names.size()) {
    throw Error(ErrorCode::bad_usage, fmt::format("class {}: there are {}", class_index, names.size()));
  }
  return names[static_cast<std::size_t>(class_index)];
}

}  // namespace dsn

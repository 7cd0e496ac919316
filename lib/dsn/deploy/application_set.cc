// SPDX-License-Identifier: Apache-2.0
#include "dsn/deploy/application_set.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "dsn/core/error.h"

namespace dsn {

ApplicationSet::ApplicationSet(std::vector<ApplicationSpec> specs, const Platform& platform,
                               const ApplicationPlace& place) {
  const bool several = specs.size() > 1;
  apps_.reserve(specs.size());
  for (ApplicationSpec& spec : specs) {
    apps_.push_back({std::move(spec), nullptr, {}, nullptr, nullptr, nullptr});
    try {
      open(apps_.back(), platform, place);
    } catch (const Error& error) {
      if (!several) throw;
      throw Error(error.code(), fmt::format("application {}: {}", apps_.back().spec.name, error.message()),
                  error.hint());
    }
  }
}

void ApplicationSet::open(Opened& app, const Platform& platform, const ApplicationPlace& place) {
  const ApplicationSpec& spec = app.spec;
  check_goal(spec.options);
  for (const Opened& other : apps_)
    if (other.bundle && other.spec.bundle == spec.bundle) app.bundle = other.bundle;
  if (!app.bundle) app.bundle = std::make_shared<const Bundle>(Bundle::open(spec.bundle));
  const Bundle& bundle = *app.bundle;
  app.weights_sha256 = bundle.family.weights_sha256;
  // Executors share what they packed of the same mapped file, so of the same super-network all take the first
  // file. Equal weights of another space are packed otherwise.
  const TensorFile* weights = &bundle.weights;
  for (const Opened& other : apps_) {
    if (!other.executor || other.weights_sha256 != app.weights_sha256 ||
        other.bundle->space.sha256() != bundle.space.sha256())
      continue;
    weights = &other.bundle->weights;
    break;
  }
  const Lut& lut = costs_here(bundle, platform, place.engine);
  app.executor = make_executor(lut.engine, bundle.space, *weights, place.device);
  app.costs = std::make_unique<CostTable>(bundle.family, lut, platform, spec.threads);
  require_feasible(*app.costs, spec.options);
  app.frames = open_frames(spec.input, place.seed, spec.repeat);
  app.executor->prepare(bundle.levels);
}

std::vector<std::string> ApplicationSet::names() const {
  std::vector<std::string> names;
  for (const Opened& app : apps_) names.push_back(app.spec.name);
  return names;
}

MemoryUse ApplicationSet::memory() const {
  MemoryUse sum;
  std::set<std::string> counted;
  for (const Opened& app : apps_) {
    const MemoryUse use = app.executor->memory();
    if (counted.insert(app.weights_sha256 + app.bundle->space.sha256()).second) sum.weights += use.weights;
    sum.levels += use.levels;
    sum.work += use.work;
  }
  return sum;
}

std::vector<LiveApp> ApplicationSet::live() {
  std::vector<LiveApp> apps;
  for (Opened& app : apps_)
    apps.push_back({app.spec.name,
                    {*app.executor, app.bundle->preprocessing, *app.costs},
                    *app.frames,
                    app.spec.options});
  return apps;
}

}  // namespace dsn

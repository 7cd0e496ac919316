// SPDX-License-Identifier: Apache-2.0
// Which executors this program has.
#include <algorithm>
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "dsn/core/error.h"
#include "dsn/engine/elastic/elastic_executor.h"
#include "dsn/engine/executor.h"

namespace dsn {
namespace {

// The one that every build has comes first: on CPUs it is the best.
constexpr const char* kElastic = "elastic";

struct Registry {
  std::mutex mutex;
  std::vector<std::pair<std::string, ExecutorFactory>> entries{{kElastic, make_elastic_executor}};
};

Registry& registry() {
  static Registry instance;
  return instance;
}

}  // namespace

void register_executor(std::string name, ExecutorFactory factory) {
  auto& [mutex, entries] = registry();
  const std::lock_guard lock(mutex);
  const auto known =
      std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.first == name; });
  if (known != entries.end()) {
    known->second = std::move(factory);
  } else {
    entries.emplace_back(std::move(name), std::move(factory));
  }
}

std::vector<std::string> executor_names() {
  auto& [mutex, entries] = registry();
  const std::lock_guard lock(mutex);
  std::vector<std::string> names;
  names.reserve(entries.size());
  for (const auto& entry : entries) names.push_back(entry.first);
  return names;
}

std::unique_ptr<Executor> make_executor(const std::string& kind, const SearchSpace& space,
                                        const TensorFile& weights, const std::string& device) {
  ExecutorFactory factory;
  {
    auto& [mutex, entries] = registry();
    const std::lock_guard lock(mutex);
    const auto fits = [&](const auto& entry) {
      return kind == "auto" ? device == "cpu" || entry.first != kElastic : entry.first == kind;
    };
    const auto found = std::find_if(entries.begin(), entries.end(), fits);
    if (found != entries.end()) factory = found->second;
  }
  if (!factory && kind == "auto") {
    throw Error(ErrorCode::unsupported, fmt::format("this build has no executor for device \"{}\"", device),
                "use --device cpu, or install libtorch-dev and build with -Dtorch=enabled");
  }
  if (!factory) {
    throw Error(ErrorCode::unsupported, fmt::format("executor '{}' is not in this build", kind),
                fmt::format("there is: {}", fmt::join(executor_names(), ", ")));
  }
  return factory(space, weights, device);
}

}  // namespace dsn

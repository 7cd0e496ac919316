// SPDX-License-Identifier: Apache-2.0
// Which executors this program has.
#include <algorithm>
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "dsn/core/error.h"
#include "dsn/engine/executor.h"

namespace dsn {
namespace {

struct Registry {
  std::mutex mutex;
  std::vector<std::pair<std::string, ExecutorFactory>> entries;  // in order of registration: best first
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
    if (entries.empty()) {
      throw Error(ErrorCode::unsupported, "this build has no executor: it was built without LibTorch",
                  "install libtorch-dev and build with -Dtorch=enabled");
    }
    const auto found = kind == "auto" ? entries.begin()
                                      : std::find_if(entries.begin(), entries.end(),
                                                     [&](const auto& e) { return e.first == kind; });
    if (found != entries.end()) factory = found->second;
  }
  if (!factory) {
    throw Error(ErrorCode::unsupported, fmt::format("executor '{}' is not in this build", kind),
                fmt::format("there is: {}", fmt::join(executor_names(), ", ")));
  }
  return factory(space, weights, device);
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "cli/version.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "dsn/engine/executor.h"
#include "dsn/version.h"

namespace dsn::cli {
namespace {

template <typename Names>
std::string list(const Names& names) {
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

std::string describe(const Feature& feature) {
  if (!feature.built) return "no";
  return feature.version.empty() ? "yes" : fmt::format("yes ({})", feature.version);
}

}  // namespace

std::string version_text() {
  const BuildInfo& info = build_info();
  std::string text = fmt::format("dsn {}\ncommit: {} ({})\nbuild: {}, -O{}, {}, {}\nsanitizers: {}\n",
                                 info.version, info.commit, info.date, info.build_type, info.optimization,
                                 info.compiler, info.machine, list(info.sanitizers));
  for (const Feature& feature : info.features)
    text += fmt::format("{}: {}\n", feature.name, describe(feature));
  return text + fmt::format("executors: {}\n", list(executor_names()));
}

Json version_json() {
  const BuildInfo& info = build_info();
  Json features = Json::object();
  for (const Feature& feature : info.features) {
    Json& value = features[std::string(feature.name)];
    value = feature.built;
    if (feature.built && !feature.version.empty()) value = feature.version;
  }
  return {{"tool", tool_info()},           {"date", info.date},
          {"build_type", info.build_type}, {"optimization", info.optimization},
          {"compiler", info.compiler},     {"machine", info.machine},
          {"sanitizers", info.sanitizers}, {"features", std::move(features)},
          {"executors", executor_names()}};
}

}  // namespace dsn::cli

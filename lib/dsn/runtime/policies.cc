// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/runtime/alert_policy.h"
#include "dsn/runtime/dsn_policy.h"
#include "dsn/runtime/policy.h"
#include "dsn/runtime/slackfit_policy.h"
#include "dsn/runtime/static_policy.h"

namespace dsn {
namespace {

constexpr int kMostLevels = 1000;

[[noreturn]] void unknown(const std::string& spec) {
  throw Error(ErrorCode::bad_usage, fmt::format("unknown policy \"{}\"", spec),
              fmt::format("use one of {}", fmt::join(policy_names(), ", ")));
}

// StaticPolicy::kLargest for "largest"; nothing when it is no level.
std::optional<int> parse_level(std::string_view text) {
  if (text == "largest") return StaticPolicy::kLargest;
  if (text == "smallest") return 0;
  int level = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), level);
  if (error != std::errc() || end != text.data() + text.size() || level < 0 || level >= kMostLevels)
    return std::nullopt;
  return level;
}

std::optional<Objective> parse_objective(std::string_view text) {
  if (text == "max-accuracy") return Objective::max_accuracy;
  if (text == "min-energy") return Objective::min_energy;
  if (text == "min-latency") return Objective::min_latency;
  return std::nullopt;
}

// "dsn:OBJECTIVE" and "subnet-only:OBJECTIVE"; the first is what they do without one.
std::unique_ptr<Policy> make_dsn(const std::string& spec, std::string_view kind, std::string_view objective) {
  DsnOptions options;
  const auto wanted = parse_objective(objective.empty() ? "max-accuracy" : objective);
  if (!wanted) unknown(spec);
  options.platform.objective = *wanted;
  options.name = *wanted == Objective::max_accuracy ? std::string(kind) : spec;
  options.platform.move_opps = options.platform.move_placements = kind == "dsn";
  options.platform.dwell_s = options.manager.dwell_s;
  return std::make_unique<DsnPolicy>(options);
}

std::unique_ptr<Policy> make_dvfs_only(const std::string& spec, std::string_view which) {
  const auto level = parse_level(which.empty() ? "largest" : which);
  if (!level) unknown(spec);
  DsnOptions options;
  options.name = spec;
  options.manager.level = *level == StaticPolicy::kLargest ? ManagerOptions::kLastLevel : *level;
  options.platform.objective = Objective::min_energy;
  options.platform.move_placements = false;
  return std::make_unique<DsnPolicy>(options);
}

// "governor:NAME" and "governor:NAME:LEVEL".
std::unique_ptr<Policy> make_governor(const std::string& spec, std::string_view rest) {
  const std::size_t colon = rest.find(':');
  const std::string name(rest.substr(0, colon));
  const auto level = parse_level(colon == std::string_view::npos ? "largest" : rest.substr(colon + 1));
  const auto of_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  if (name.empty() || !std::all_of(name.begin(), name.end(), of_name) || !level) unknown(spec);
  return std::make_unique<StaticPolicy>(*level, name);
}

}  // namespace

std::vector<std::string> policy_names() {
  return {"dsn",
          "dsn:max-accuracy",
          "dsn:min-energy",
          "dsn:min-latency",
          "static:largest",
          "static:smallest",
          "static:LEVEL",
          "subnet-only",
          "dvfs-only",
          "dvfs-only:LEVEL",
          "alert",
          "alert:min-energy",
          "slackfit",
          "governor:NAME[:LEVEL]"};
}

Precedence parse_precedence(const std::string& text) {
  constexpr std::pair<std::string_view, Criterion> kNames[] = {
      {"latency", Criterion::latency}, {"accuracy", Criterion::accuracy}, {"energy", Criterion::energy}};
  const auto refuse = [&] {
    throw Error(ErrorCode::bad_usage, fmt::format("order of goals: found \"{}\"", text),
                "name latency, accuracy and energy once each, what is kept longest first");
  };
  Precedence order{};
  std::size_t count = 0;
  std::string_view left = text;
  for (bool more = true; more; ++count) {
    const std::size_t comma = left.find(',');
    more = comma != std::string_view::npos;
    const std::string_view word = left.substr(0, comma);
    if (more) left.remove_prefix(comma + 1);
    const auto* known = std::find_if(std::begin(kNames), std::end(kNames),
                                     [&](const auto& name) { return name.first == word; });
    if (known == std::end(kNames) || count >= order.size()) refuse();
    if (std::find(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), known->second) !=
        order.begin() + static_cast<std::ptrdiff_t>(count))
      refuse();
    order[count] = known->second;
  }
  if (count != order.size()) refuse();
  return order;
}

std::unique_ptr<Policy> make_policy(const std::string& spec) {
  const std::string_view text = spec;
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string_view rest = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (colon != std::string_view::npos && rest.empty()) unknown(spec);
  if (kind == "dsn" || kind == "subnet-only") return make_dsn(spec, kind, rest);
  if (kind == "dvfs-only") return make_dvfs_only(spec, rest);
  if (kind == "governor") return make_governor(spec, rest);
  if (spec == "alert" || spec == "alert:min-energy") return std::make_unique<AlertPolicy>(!rest.empty());
  if (spec == "slackfit") return std::make_unique<SlackFitPolicy>();
  const auto level = kind == "static" ? parse_level(rest) : std::nullopt;
  if (!level) unknown(spec);
  return std::make_unique<StaticPolicy>(*level);
}

}  // namespace dsn

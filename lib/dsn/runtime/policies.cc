// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/runtime/dsn_policy.h"
#include "dsn/runtime/policy.h"
#include "dsn/runtime/static_policy.h"

namespace dsn {
namespace {

constexpr std::string_view kStatic = "static:";
constexpr int kMostLevels = 1000;

[[noreturn]] void unknown(const std::string& spec) {
  throw Error(ErrorCode::bad_usage, fmt::format("unknown policy \"{}\"", spec),
              fmt::format("use one of {}", fmt::join(policy_names(), ", ")));
}

}  // namespace

std::vector<std::string> policy_names() {
  return {"dsn", "dsn:max-accuracy", "dsn:min-energy", "static:largest", "static:smallest", "static:LEVEL"};
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
  if (spec == "dsn" || spec == "dsn:max-accuracy") return std::make_unique<DsnPolicy>();
  if (spec == "dsn:min-energy") {
    DsnOptions options;
    options.objective = Objective::min_energy;
    return std::make_unique<DsnPolicy>(options);
  }
  if (!spec.starts_with(kStatic)) unknown(spec);
  const std::string which = spec.substr(kStatic.size());
  if (which == "largest") return std::make_unique<StaticPolicy>(StaticPolicy::kLargest);
  if (which == "smallest") return std::make_unique<StaticPolicy>(0);
  int level = -1;
  const auto [end, error] = std::from_chars(which.data(), which.data() + which.size(), level);
  if (error != std::errc() || end != which.data() + which.size() || level < 0 || level >= kMostLevels)
    unknown(spec);
  return std::make_unique<StaticPolicy>(level);
}

}  // namespace dsn

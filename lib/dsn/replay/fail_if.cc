// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/fail_if.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "dsn/core/error.h"
#include "dsn/replay/metrics.h"

namespace dsn {
namespace {

constexpr const char* kGrammar =
    "write FIGURE > NUMBER or FIGURE > NUMBER*FIGURE with >, >=, < or <= and FIGURE as POLICY.[APP.]NAME: "
    "'dsn.deadline_miss>0.01'";

[[noreturn]] void refuse(const std::string& text, const std::string& what,
                         const std::string& hint = kGrammar) {
  throw Error(ErrorCode::bad_usage, fmt::format("--fail-if '{}': {}", text, what), hint);
}

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class Names {
 public:
  Names(const std::string& text, const std::vector<std::string>& policies,
        const std::vector<std::string>& apps)
      : text_(text), policies_(policies), apps_(apps) {}

  // A policy may have dots in its options, so it is looked for from the front and the figure from the end.
  [[nodiscard]] FigureName read(const std::string& word) const {
    const std::size_t last = word.rfind('.');
    if (last == std::string::npos) refuse(text_, fmt::format("found '{}', expected POLICY.NAME", word));
    const std::string name = word.substr(last + 1);
    if (!contains(figure_names(), name))
      refuse(text_, fmt::format("no figure '{}'", name),
             fmt::format("there are {}", fmt::join(figure_names(), ", ")));
    std::string rest = word.substr(0, last);
    if (contains(policies_, rest)) return {rest, name};
    const std::size_t dot = rest.rfind('.');
    const std::string policy = rest.substr(0, dot);
    if (dot == std::string::npos || !contains(policies_, policy)) {
      refuse(text_, fmt::format("no policy '{}' in this replay", dot == std::string::npos ? rest : policy),
             fmt::format("there are {}", fmt::join(policies_, ", ")));
    }
    const std::string app = rest.substr(dot + 1);
    if (!contains(apps_, app))
      refuse(text_, fmt::format("no application '{}' in this trace", app),
             fmt::format("there are {}", fmt::join(apps_, ", ")));
    if (!is_app_figure(name))
      refuse(text_, fmt::format("'{}' is of the platform, not of one application", name));
    return {policy, app + "." + name};
  }

 private:
  const std::string& text_;
  const std::vector<std::string>& policies_;
  const std::vector<std::string>& apps_;
};

double value_of(const Json& report, const FigureName& figure, const std::string& condition) {
  for (const Json& policy : report.at("policies")) {
    if (policy.at("policy") != figure.policy) continue;
    const Json& value = policy.at("figures").at(figure.figure);
    if (value.at("mean").is_number()) return value.at("mean").get<double>();
    throw Error(ErrorCode::bad_input,
                fmt::format("--fail-if '{}': {}.{} is not known: {}", condition, figure.policy, figure.figure,
                            value.at("mean_reason").get<std::string>()));
  }
  throw Error(ErrorCode::bad_usage, fmt::format("--fail-if '{}': no policy '{}'", condition, figure.policy));
}

}  // namespace

Condition parse_condition(const std::string& text, const std::vector<std::string>& policies,
                          const std::vector<std::string>& apps) {
  std::string dense = text;
  std::erase(dense, ' ');
  const std::size_t at = dense.find_first_of("<>");
  if (at == std::string::npos) refuse(text, "found no >, >=, < or <=");
  Condition condition;
  condition.text = text;
  condition.greater = dense[at] == '>';
  condition.or_equal = at + 1 < dense.size() && dense[at + 1] == '=';
  const Names names(text, policies, apps);
  condition.left = names.read(dense.substr(0, at));
  std::string right = dense.substr(at + (condition.or_equal ? 2 : 1));
  condition.factor = 1;
  if (const std::optional<double> number = number_of(right)) {
    condition.factor = *number;
    return condition;
  }
  if (const std::size_t star = right.find('*'); star != std::string::npos) {
    const std::optional<double> factor = number_of(right.substr(0, star));
    if (!factor) refuse(text, fmt::format("found '{}', expected a number before *", right.substr(0, star)));
    condition.factor = *factor;
    right.erase(0, star + 1);
  }
  condition.right = names.read(right);
  return condition;
}

Json judge(const std::vector<Condition>& conditions, const Json& report) {
  Json judged = Json::array();
  for (const Condition& condition : conditions) {
    const double left = value_of(report, condition.left, condition.text);
    const double right =
        condition.factor * (condition.right ? value_of(report, *condition.right, condition.text) : 1.0);
    const bool beyond = condition.greater ? left > right : left < right;
    judged.push_back({{"condition", condition.text},
                      {"left", left},
                      {"right", right},
                      {"holds", beyond || (condition.or_equal && left == right)}});
  }
  return judged;
}

std::string failed_conditions(const Json& report) {
  std::vector<std::string> held;
  for (const Json& condition : report.value("conditions", Json::array())) {
    if (!condition.at("holds").get<bool>()) continue;
    held.push_back(fmt::format("{} (found {:.6g}, limit {:.6g})",
                               condition.at("condition").get<std::string>(),
                               condition.at("left").get<double>(), condition.at("right").get<double>()));
  }
  return fmt::format("{}", fmt::join(held, "; "));
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <set>

#include "dsn/core/error.h"

namespace dsn {
namespace {

// How many values, counted from the largest, a phase may choose from.
constexpr std::size_t kAll = 1000;
struct Allowed {
  std::size_t kernel = kAll, depth = kAll, expand = kAll;
};

void keep_last(Json& list, std::size_t count) {
  if (list.is_array() && list.size() > count)
    list.erase(list.begin(), list.end() - static_cast<std::ptrdiff_t>(count));
}

SearchSpace narrowed(const SearchSpace& space, const Allowed& allowed) {
  Json document = space.document();
  if (document.contains("width")) keep_last(document["width"], allowed.expand);
  if (document.at("stem").contains("depth")) keep_last(document["stem"]["depth"], allowed.depth);
  for (Json& stage : document.at("stages")) {
    for (const auto& [key, count] : {std::pair{"kernel", allowed.kernel}, std::pair{"depth", allowed.depth},
                                     std::pair{"expand", allowed.expand}}) {
      if (stage.contains(key)) keep_last(stage[key], count);
    }
  }
  return SearchSpace::parse(document, space.name());
}

// What varies in the space's document, each with all values that some stage allows.
std::string describe_elastic(const SearchSpace& space) {
  std::vector<std::string> parts;
  const auto add = [&](const std::string& name, const std::set<double>& values) {
    if (values.size() > 1) parts.push_back(fmt::format("{} {}", name, fmt::join(values, "|")));
  };
  add("resolution", {space.resolutions().begin(), space.resolutions().end()});
  for (const char* key : {"kernel", "depth", "expand"}) {
    std::set<double> values;
    bool elastic = false;
    for (const Json& stage : space.document().at("stages")) {
      if (!stage.contains(key) || !stage.at(key).is_array() || stage.at(key).size() < 2) continue;
      elastic = true;
      for (const Json& value : stage.at(key)) values.insert(value.get<double>());
    }
    if (elastic) add(key, values);
  }
  if (const Json& d = space.document(); d.contains("width") && d.at("width").size() > 1)
    parts.push_back(fmt::format("width {}", fmt::join(d.at("width").get<std::vector<double>>(), "|")));
  return parts.empty() ? "nothing" : fmt::format("{}", fmt::join(parts, ", "));
}

struct Candidate {
  const char* name;
  Allowed allowed;
  int subnets;
  double epochs, learning_rate;  // as published, for 605 epochs and a peak of 2.6
};

// Cai et al. 2020, appendix: one, two and four sub-networks per step.
const std::vector<Candidate> kShrinking{
    {"full", {1, 1, 1}, 1, 180, 2.6},           {"kernel", {kAll, 1, 1}, 1, 125, 0.96},
    {"depth 1", {kAll, 2, 1}, 2, 25, 0.08},     {"depth 2", {kAll, kAll, 1}, 2, 125, 0.24},
    {"expand 1", {kAll, kAll, 2}, 4, 25, 0.08}, {"expand 2", {kAll, kAll, kAll}, 4, 125, 0.24}};

// `total` epochs in proportion to `weights`, at least one each; what rounding leaves goes to the longest.
std::vector<int> share_epochs(int total, const std::vector<double>& weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<int> epochs;
  for (const double w : weights)
    epochs.push_back(std::max(1, static_cast<int>(std::lround(total * w / sum))));
  for (int left = total - std::accumulate(epochs.begin(), epochs.end(), 0); left != 0;) {
    const int change = left > 0 ? 1 : -1;
    *std::max_element(epochs.begin(), epochs.end()) += change;
    left -= change;
  }
  return epochs;
}

TrainPlan shrinking_plan(const SearchSpace& space, const TrainOptions& options) {
  TrainPlan plan;
  std::vector<double> weights;
  bool sorted = false;
  for (const Candidate& c : kShrinking) {
    SearchSpace sub = narrowed(space, c.allowed);
    if (!plan.phases.empty() && sub.sha256() == plan.phases.back().space.sha256()) continue;
    TrainPhase phase{c.name, describe_elastic(sub), std::move(sub)};
    const bool first = plan.phases.empty();
    phase.rule = first ? StepRule::labels : StepRule::distil;
    phase.subnets = c.subnets;
    phase.learning_rate = options.learning_rate * c.learning_rate / kShrinking.front().learning_rate;
    phase.warmup_epochs = first ? options.warmup_epochs : 0;
    // Once, before prefixes of the channels begin to be trained: sorting again would break them up.
    phase.sort_channels = !sorted && c.allowed.expand > 1;
    sorted = sorted || phase.sort_channels;
    weights.push_back(c.epochs);
    plan.phases.push_back(std::move(phase));
  }
  if (options.epochs < static_cast<int>(plan.phases.size())) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("{} epochs are too few for the {} phases of progressive shrinking",
                            options.epochs, plan.phases.size()),
                "choose more --epochs, or --method sandwich");
  }
  const std::vector<int> epochs = share_epochs(options.epochs, weights);
  for (std::size_t i = 0, first = 0; i < plan.phases.size(); ++i) {
    plan.phases[i].first_epoch = static_cast<int>(first);
    plan.phases[i].epochs = epochs[i];
    first += static_cast<std::size_t>(epochs[i]);
  }
  return plan;
}

}  // namespace

std::string_view to_string(StepRule rule) noexcept {
  switch (rule) {
    case StepRule::sandwich:
      return "sandwich";
    case StepRule::labels:
      return "labels";
    case StepRule::distil:
      return "distil";
  }
  return "?";
}

SubnetConfig in_whole_space(const SearchSpace& space, SubnetConfig config) {
  // A phase whose width is fixed has sub-networks without one: theirs is the largest.
  if (config.w.empty()) config.w = space.largest().w;
  return space.canonical(std::move(config));
}

double TrainPhase::learning_rate_at(double epoch) const noexcept {
  const double at = epoch - first_epoch;
  if (at < warmup_epochs) return learning_rate * (at + 1e-3) / warmup_epochs;
  const double progress = (at - warmup_epochs) / (epochs - warmup_epochs);
  return learning_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(1.0, progress)));
}

std::size_t TrainPlan::phase_of(int epoch) const noexcept {
  std::size_t i = 0;
  while (i + 1 < phases.size() && epoch >= phases[i + 1].first_epoch) ++i;
  return i;
}

TrainPlan make_plan(const SearchSpace& space, const TrainOptions& options) {
  if (options.method == Method::fixed && !options.subnet) {
    throw Error(ErrorCode::bad_usage, "method static trains one sub-network, and none was given",
                "add --subnet CONFIG.json, --subnet largest or --subnet smallest");
  }
  if (options.method != Method::fixed && options.subnet) {
    throw Error(
        ErrorCode::bad_usage,
        fmt::format("method {} trains many sub-networks, and one was given", to_string(options.method)),
        "leave out --subnet, or add --method static");
  }
  TrainPlan plan;
  if (options.method == Method::shrink) {
    plan = shrinking_plan(space, options);
  } else {
    const bool fixed = options.method == Method::fixed;
    TrainPhase phase{fixed ? "static" : "sandwich", fixed ? "nothing" : describe_elastic(space), space};
    phase.rule = fixed ? StepRule::labels : StepRule::sandwich;
    phase.subnets = fixed ? 1 : 2 + options.random_subnets;
    phase.epochs = options.epochs;
    phase.learning_rate = options.learning_rate;
    phase.warmup_epochs = options.warmup_epochs;
    plan.phases.push_back(std::move(phase));
  }
  plan.method = options.method;
  return plan;
}

Json to_json(const TrainPlan& plan) {
  Json phases = Json::array();
  for (const TrainPhase& p : plan.phases) {
    phases.push_back({{"name", p.name},
                      {"rule", to_string(p.rule)},
                      {"elastic", p.elastic},
                      {"subnets_per_step", p.subnets},
                      {"first_epoch", p.first_epoch + 1},
                      {"epochs", p.epochs},
                      {"learning_rate", p.learning_rate},
                      {"warmup_epochs", p.warmup_epochs},
                      {"sort_channels", p.sort_channels}});
  }
  return phases;
}

}  // namespace dsn

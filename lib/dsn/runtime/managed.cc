// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/managed.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "dsn/core/error.h"

namespace dsn {
namespace {

constexpr double kPrepareWeight = 0.1;  // of one measurement of the time to preprocess

struct GivenUp {};  // thrown between two blocks of a network

}  // namespace

ManagedInference::ManagedInference(std::string name, const AppParts& parts, LiveManager& manager,
                                   const Goal& goal, Job& job, std::string threads_named)
    : name_(std::move(name)),
      parts_(parts),
      manager_(manager),
      job_(job),
      app_(manager.add(name_, parts.costs)),
      affinity_(std::move(threads_named)) {
  const std::vector<Cluster>& clusters = manager.platform().clusters;
  several_cpu_clusters_ = std::count_if(clusters.begin(), clusters.end(), [](const Cluster& cluster) {
                            return cluster.kind == ClusterKind::cpu;
                          }) > 1;
  view_.costs = &parts.costs;
  set_goal(goal);
  read_shapes();
  // Nothing is easier, should the manager never answer.
  safe_.choice.placement = cheapest_placement(parts.costs, 0, goal.target_s);
  const Placement& place = parts.costs.placements()[static_cast<std::size_t>(safe_.choice.placement)];
  const Cluster& cluster = clusters[static_cast<std::size_t>(place.cluster)];
  safe_.opp = static_cast<int>(cluster.opps.size()) - 1;
  safe_.cpus = {place.cluster, 0, static_cast<int>(cluster.cpus.size())};
}

void ManagedInference::read_shapes() {
  std::size_t input = 0, classes = 0;
  for (int level = 0; level < parts_.costs.levels(); ++level) {
    set_level(level);
    const Network& network = parts_.executor.network();
    if (network.in_channels != parts_.preprocessing.channels) {
      throw Error(ErrorCode::mismatch,
                  fmt::format("level {} takes {} channels, but preprocessing gives {}", level,
                              network.in_channels, parts_.preprocessing.channels));
    }
    const auto r = static_cast<std::size_t>(network.resolution);
    LevelShape shape;
    shape.resolution = network.resolution;
    shape.input = static_cast<std::size_t>(network.in_channels) * r * r;
    shape.classes = static_cast<std::size_t>(network.classes);
    shapes_.push_back(shape);
    input = std::max(input, shape.input);
    classes = std::max(classes, shape.classes);
  }
  input_.assign(input, 0.f);
  logits_.assign(classes, 0.f);
  prepare_s_.assign(shapes_.size(), 0.0);
}

void ManagedInference::warm_up(int inferences) {
  std::set<int> threads;
  for (const Placement& placement : parts_.costs.placements()) threads.insert(placement.threads);
  job_.begin("warming up", static_cast<double>(threads.size() * shapes_.size()) * inferences);
  double done = 0;
  for (const int count : threads) {
    set_threads(count);
    for (std::size_t level = 0; level < shapes_.size(); ++level) {
      set_level(static_cast<int>(level));
      for (int i = 0; i < inferences && !job_.stop_requested(); ++i) {
        run_network(kNever);
        job_.advance(++done);
      }
    }
  }
  job_.end();
}

void ManagedInference::set_goal(const Goal& goal) {
  check_goal(goal);
  goal_ = goal;
  view_.target_s = goal.target_s;
  view_.probability = goal.probability;
  view_.min_accuracy = goal.min_accuracy;
  view_.period_s = goal.period_s;
  view_.energy_budget_j = goal.energy_budget_j;
  view_.priority = goal.priority;
}

void ManagedInference::set_active(bool active, bool paused, bool failed) noexcept {
  view_.active = active;
  manager_.set_active(app_, view_, active, paused, failed);
}

void ManagedInference::set_level(int level) {
  if (level == level_) return;
  parts_.executor.activate(static_cast<std::size_t>(level));
  level_ = level;
}

void ManagedInference::set_threads(int threads) {
  if (threads == threads_) return;
  parts_.executor.set_threads(threads);
  threads_ = threads;
}

// On one CPU cluster that it has for itself an application needs no binding: it may run wherever it might.
void ManagedInference::set_cpus(const CpuSlice& cpus) {
  if (cpus == cpus_) return;
  const std::vector<int>& all = manager_.platform().clusters[static_cast<std::size_t>(cpus.cluster)].cpus;
  const bool part = cpus.count < static_cast<int>(all.size());
  try {
    if (part || (several_cpu_clusters_ && !all.empty())) {
      affinity_.bind({all.begin() + cpus.first, all.begin() + cpus.first + cpus.count});
    } else {
      affinity_.release();
    }
  } catch (const Error& error) {
    if (!part) throw;
    manager_.share_always();
    affinity_.release();
    job_.warn(fmt::format("{}; applications share cores from now on", error.message()));
  }
  cpus_ = cpus;
}

void ManagedInference::apply(const Grant& grant) {
  const AppChoice& choice = grant.choice;
  const auto placements = parts_.costs.placements().size();
  if (choice.level < 0 || choice.level >= parts_.costs.levels() || choice.placement < 0 ||
      choice.placement >= static_cast<int>(placements)) {
    throw Error(ErrorCode::failed,
                fmt::format("policy {} chose level {} at placement {}, of {} levels and {} placements",
                            manager_.policy().name(), choice.level, choice.placement, parts_.costs.levels(),
                            placements));
  }
  set_cpus(grant.cpus);
  set_threads(parts_.costs.placements()[static_cast<std::size_t>(choice.placement)].threads);
  placement_ = choice.placement;
  set_level(choice.level);
}

void ManagedInference::run_network(double abort_s) {
  const LevelShape& shape = shapes_[static_cast<std::size_t>(level_)];
  const UnitObserver watch = [this, abort_s](std::size_t /*unit*/) {
    if (manager_.now_s() > abort_s) throw GivenUp();
  };
  parts_.executor.infer(std::span(input_).first(shape.input), 1, std::span(logits_).first(shape.classes),
                        abort_s < kNever ? &watch : nullptr);
}

Grant ManagedInference::ask(double before_s, LiveRecord& record) {
  // Preprocessing is still to come, and counts.
  view_.waited_s = before_s - record.scheduled_s + prepare_s_[static_cast<std::size_t>(level_)];
  const std::optional<Grant> grant = manager_.decide(app_, view_);
  stuck_ = !grant;
  record.undecided = stuck_ || !grant->made;
  record.decision_s = grant ? grant->decision_s : 0;
  record.feasible = !grant || grant->feasible;
  return grant ? *grant : safe_;
}

void ManagedInference::skip(LiveRecord& record) {
  record.skipped = true;
  record.level = level_;
  record.placement = std::max(placement_, 0);
  Completion dropped;
  dropped.app = static_cast<int>(app_);
  dropped.level = record.level;
  dropped.placement = record.placement;
  dropped.scheduled_s = record.scheduled_s;
  dropped.target_s = record.target_s;
  dropped.dropped = true;
  stuck_ = !manager_.observe(view_, dropped, {}, !stuck_);
}

double ManagedInference::infer(const Image& image, LiveRecord& record, double abort_s) {
  const Grant grant = ask(manager_.now_s(), record);
  apply(grant);

  const auto level = static_cast<std::size_t>(level_);
  const double applied_s = manager_.now_s();
  preprocess(image, parts_.preprocessing, shapes_[level].resolution,
             std::span(input_).first(shapes_[level].input));
  record.start_s = manager_.now_s();
  try {
    run_network(abort_s);
  } catch (const GivenUp&) {
    record.aborted = true;
  }
  record.done_s = manager_.now_s();
  const double prepared_s = record.start_s - applied_s;
  prepare_s_[level] += prepare_s_[level] > 0 ? kPrepareWeight * (prepared_s - prepare_s_[level]) : prepared_s;

  record.level = level_;
  record.placement = placement_;
  record.opp = grant.opp;
  if (!record.aborted) {
    const auto scores = logits();
    record.predicted = static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  }
  if (record.met()) safe_ = grant;

  // One that was given up would have taken at least this.
  const double nominal_s = parts_.costs.latency(record.level, record.placement, record.opp);
  const double ended_s = record.aborted ? std::max(record.done_s, record.start_s + nominal_s) : record.done_s;
  const Completion done{static_cast<int>(app_), record.level,   record.placement, record.opp,
                        record.scheduled_s,     record.start_s, ended_s,          record.target_s};
  ArrivalOutcome outcome{record.met(), record.aborted, std::nullopt};
  if (record.label && !record.aborted) outcome.correct = *record.label == record.predicted;
  const std::optional<double> slowdown = manager_.observe(view_, done, outcome, !stuck_);
  stuck_ = !slowdown;
  record.slowdown = slowdown.value_or(1);
  return nominal_s;
}

std::span<const float> ManagedInference::logits() const noexcept {
  return std::span(logits_).first(shapes_[static_cast<std::size_t>(level_)].classes);
}

}  // namespace dsn

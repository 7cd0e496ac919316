// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/managed.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "dsn/core/error.h"
#include "dsn/runtime/live_knobs.h"

namespace dsn {
namespace {

constexpr double kPrepareWeight = 0.1;  // of one measurement of the time to preprocess

}  // namespace

ManagedInference::ManagedInference(const ManagedParts& parts, const Goal& goal, bool move_frequencies,
                                   Job& job)
    : parts_(parts), job_(job), knobs_(std::make_unique<LiveKnobs>(parts_, move_frequencies, job)) {
  set_goal(goal);
  parts.policy.check(parts.costs);
  read_shapes();
  app_.costs = &parts.costs;
  app_.level = knobs_->level();
}

ManagedInference::~ManagedInference() = default;

void ManagedInference::read_shapes() {
  std::size_t input = 0, classes = 0;
  for (int level = 0; level < parts_.costs.levels(); ++level) {
    knobs_->set_level(level);
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
    knobs_->set_threads(count);
    for (std::size_t level = 0; level < shapes_.size(); ++level) {
      knobs_->set_level(static_cast<int>(level));
      for (int i = 0; i < inferences && !job_.stop_requested(); ++i) {
        run_network();
        job_.advance(++done);
      }
    }
  }
  job_.end();
}

void ManagedInference::start() noexcept {
  start_s_ = parts_.clock.now_s();
}

void ManagedInference::sleep_until(double time_s) noexcept {
  parts_.clock.sleep_until(start_s_ + time_s);
}

double ManagedInference::now_s() const noexcept {
  return parts_.clock.now_s() - start_s_;
}

void ManagedInference::set_goal(const Goal& goal) {
  check_goal(goal);
  goal_ = goal;
  app_.target_s = goal.target_s;
  app_.probability = goal.probability;
  app_.min_accuracy = goal.min_accuracy;
  app_.period_s = goal.period_s;
}

void ManagedInference::poll() noexcept {
  knobs_->poll(now_s());
}

void ManagedInference::run_network() {
  const LevelShape& shape = shapes_[static_cast<std::size_t>(knobs_->level())];
  parts_.executor.infer(std::span(input_).first(shape.input), 1, std::span(logits_).first(shape.classes));
}

SystemView ManagedInference::view(double now_s) const noexcept {
  return {now_s, std::span(&app_, 1), knobs_->clusters()};
}

void ManagedInference::skip(LiveRecord& record) {
  record.skipped = true;
  record.level = knobs_->level();
  record.placement = std::max(knobs_->placement(), 0);
  Completion dropped;
  dropped.level = record.level;
  dropped.placement = record.placement;
  dropped.scheduled_s = record.scheduled_s;
  dropped.target_s = record.target_s;
  dropped.dropped = true;
  parts_.policy.observe(view(now_s()), dropped);
}

double ManagedInference::infer(const Image& image, LiveRecord& record) {
  const double before_s = now_s();
  // Preprocessing is still to come, and counts.
  app_.waited_s = before_s - record.scheduled_s + prepare_s_[static_cast<std::size_t>(knobs_->level())];
  const Decision decision = parts_.policy.decide(view(before_s), 0);
  const double decided_s = now_s();
  knobs_->apply(decision);
  app_.level = knobs_->level();
  app_.placement = knobs_->placement();

  const auto level = static_cast<std::size_t>(knobs_->level());
  const double applied_s = now_s();
  preprocess(image, parts_.preprocessing, shapes_[level].resolution,
             std::span(input_).first(shapes_[level].input));
  record.start_s = now_s();
  run_network();
  record.done_s = now_s();
  const double prepared_s = record.start_s - applied_s;
  prepare_s_[level] += prepare_s_[level] > 0 ? kPrepareWeight * (prepared_s - prepare_s_[level]) : prepared_s;

  const auto scores = logits();
  record.predicted = static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  record.level = knobs_->level();
  record.placement = knobs_->placement();
  record.opp = knobs_->opp();
  record.decision_s = decided_s - before_s;
  record.feasible = decision.feasible;

  const Completion done{0,
                        record.level,
                        record.placement,
                        record.opp,
                        record.scheduled_s,
                        record.start_s,
                        record.done_s,
                        record.target_s};
  parts_.policy.observe(view(record.done_s), done);
  record.slowdown = parts_.policy.slowdown(0);
  return parts_.costs.latency(record.level, record.placement, record.opp);
}

std::span<const float> ManagedInference::logits() const noexcept {
  return std::span(logits_).first(shapes_[static_cast<std::size_t>(knobs_->level())].classes);
}

int ManagedInference::level() const noexcept {
  return knobs_->level();
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/live.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "dsn/core/error.h"
#include "dsn/core/units.h"
#include "dsn/runtime/live_knobs.h"

namespace dsn {
namespace {

constexpr double kStopInterval = 0.1;      // a wish to stop is seen at least so often
constexpr double kProgressInterval = 0.2;  // between reports of progress
constexpr double kPrepareWeight = 0.1;     // of one measurement of the time to preprocess

void check_options(const LiveOptions& options) {
  const auto require = [](bool good, const char* what, double found, const char* expected) {
    if (!good)
      throw Error(ErrorCode::bad_usage, fmt::format("{}: found {}, expected {}", what, found, expected));
  };
  require(std::isfinite(options.target_s) && options.target_s > 0, "latency target in seconds",
          options.target_s, "more than 0");
  require(options.probability > 0 && options.probability <= 1, "probability of meeting the target",
          options.probability, "more than 0 and at most 1");
  require(options.min_accuracy >= 0 && options.min_accuracy <= 1, "accuracy floor", options.min_accuracy,
          "0 to 1");
  require(std::isfinite(options.period_s) && options.period_s >= 0, "period in seconds", options.period_s,
          "0 or more");
  require(std::isfinite(options.duration_s) && options.duration_s >= 0, "duration in seconds",
          options.duration_s, "0 or more");
  require(options.max_frames >= 0, "number of frames", static_cast<double>(options.max_frames), "0 or more");
  require(options.warmup >= 0, "warm-up inferences", options.warmup, "0 or more");
}

struct LevelShape {
  std::size_t input = 0, classes = 0;
  int resolution = 0;
};

class LiveLoop {
 public:
  LiveLoop(const LiveParts& parts, const LiveOptions& options, const RecordSink& sink, Job& job)
      : parts_(parts),
        options_(options),
        sink_(sink),
        job_(job),
        knobs_(parts, options, job),
        summary_(parts.costs, parts.policy.name(), options.target_s, options.probability) {
    parts.policy.check(parts.costs);
    read_shapes();
    app_.costs = &parts.costs;
    app_.target_s = options.target_s;
    app_.probability = options.probability;
    app_.min_accuracy = options.min_accuracy;
    app_.period_s = options.period_s;
    app_.level = knobs_.level();
  }

  RunSummary run() {
    warm_up();
    job_.begin("running", options_.duration_s);
    std::optional<Frame> frame = parts_.frames.next();
    start_s_ = parts_.clock.now_s();
    std::int64_t index = 0;
    bool stopped = false;
    for (; frame && !(stopped = job_.stop_requested()); ++index, frame = parts_.frames.next()) {
      const double scheduled_s = fixed_rate() ? static_cast<double>(index) * options_.period_s : now();
      if (options_.duration_s > 0 && scheduled_s >= options_.duration_s) break;
      if (options_.max_frames > 0 && index >= options_.max_frames) break;
      LiveRecord record;
      record.index = index;
      record.scheduled_s = scheduled_s;
      record.target_s = options_.target_s;
      record.label = frame->label;
      knobs_.poll(now());
      if (fixed_rate() && options_.overrun == Overrun::skip && now() - scheduled_s >= options_.period_s) {
        skip(record);
      } else if (wait_until(scheduled_s)) {
        infer(*frame, record);
      } else {
        stopped = true;
        break;
      }
      if (sink_) sink_(record);
      report(scheduled_s);
    }
    job_.end();
    summary_.finish(now(), stopped);
    return std::move(summary_);
  }

 private:
  [[nodiscard]] bool fixed_rate() const noexcept { return options_.period_s > 0; }
  [[nodiscard]] double now() const noexcept { return parts_.clock.now_s() - start_s_; }

  void read_shapes() {
    std::size_t input = 0, classes = 0;
    for (int level = 0; level < parts_.costs.levels(); ++level) {
      knobs_.set_level(level);
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

  // First inferences of a level touch its weights and fill the allocator's pools; thread counts start
  // threads.
  void warm_up() {
    std::set<int> threads;
    for (const Placement& placement : parts_.costs.placements()) threads.insert(placement.threads);
    const auto total = static_cast<double>(threads.size() * shapes_.size()) * options_.warmup;
    job_.begin("warming up", total);
    double done = 0;
    for (const int count : threads) {
      knobs_.set_threads(count);
      for (std::size_t level = 0; level < shapes_.size(); ++level) {
        knobs_.set_level(static_cast<int>(level));
        for (int i = 0; i < options_.warmup && !job_.stop_requested(); ++i) {
          run_network();
          job_.advance(++done);
        }
      }
    }
    job_.end();
  }

  void run_network() {
    const LevelShape& shape = shapes_[static_cast<std::size_t>(knobs_.level())];
    parts_.executor.infer(std::span(input_).first(shape.input), 1, std::span(logits_).first(shape.classes));
  }

  // False when a stop was asked for meanwhile.
  [[nodiscard]] bool wait_until(double time_s) {
    while (now() < time_s) {
      if (job_.stop_requested()) return false;
      parts_.clock.sleep_until(start_s_ + std::min(time_s, now() + kStopInterval));
    }
    return true;
  }

  [[nodiscard]] SystemView view(double now_s) const noexcept {
    return {now_s, std::span(&app_, 1), knobs_.clusters()};
  }

  void skip(LiveRecord& record) {
    record.skipped = true;
    record.level = knobs_.level();
    record.placement = std::max(knobs_.placement(), 0);
    Completion dropped;
    dropped.level = record.level;
    dropped.placement = record.placement;
    dropped.scheduled_s = record.scheduled_s;
    dropped.target_s = options_.target_s;
    dropped.dropped = true;
    parts_.policy.observe(view(now()), dropped);
    summary_.add(record, 0);
  }

  void infer(const Frame& frame, LiveRecord& record) {
    const double before_s = now();
    // Preprocessing is still to come, and counts.
    app_.waited_s = before_s - record.scheduled_s + prepare_s_[static_cast<std::size_t>(knobs_.level())];
    const Decision decision = parts_.policy.decide(view(before_s), 0);
    const double decided_s = now();
    knobs_.apply(decision);
    app_.level = knobs_.level();
    app_.placement = knobs_.placement();

    const auto level = static_cast<std::size_t>(knobs_.level());
    const double applied_s = now();
    preprocess(frame.image, parts_.preprocessing, shapes_[level].resolution,
               std::span(input_).first(shapes_[level].input));
    record.start_s = now();
    run_network();
    record.done_s = now();
    const double prepared_s = record.start_s - applied_s;
    prepare_s_[level] +=
        prepare_s_[level] > 0 ? kPrepareWeight * (prepared_s - prepare_s_[level]) : prepared_s;

    const auto logits = std::span(logits_).first(shapes_[level].classes);
    record.predicted = static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    record.level = knobs_.level();
    record.placement = knobs_.placement();
    record.opp = knobs_.opp();
    record.decision_s = decided_s - before_s;
    record.feasible = decision.feasible;

    const Completion done{0,
                          record.level,
                          record.placement,
                          record.opp,
                          record.scheduled_s,
                          record.start_s,
                          record.done_s,
                          options_.target_s};
    parts_.policy.observe(view(record.done_s), done);
    record.slowdown = parts_.policy.slowdown(0);
    const double undisturbed_s = parts_.costs.latency(record.level, record.placement, record.opp);
    summary_.add(record, (record.done_s - record.start_s) / undisturbed_s);
  }

  void report(double at_s) {
    if (at_s < reported_s_ + kProgressInterval) return;
    reported_s_ = at_s;
    const double met = summary_.met_share().value_or(0);
    job_.advance(at_s, fmt::format("level {}, {} of deadlines met", knobs_.level(), format_percent(met)));
  }

  const LiveParts& parts_;
  const LiveOptions& options_;
  const RecordSink& sink_;
  Job& job_;
  LiveKnobs knobs_;
  RunSummary summary_;
  AppView app_;
  std::vector<LevelShape> shapes_;
  std::vector<float> input_, logits_;
  std::vector<double> prepare_s_;  // expected time to preprocess, by level; 0: not known yet
  double start_s_ = 0, reported_s_ = 0;
};

}  // namespace

RunSummary run_live(const LiveParts& parts, const LiveOptions& options, const RecordSink& sink, Job& job) {
  check_options(options);
  return LiveLoop(parts, options, sink, job).run();
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/runtime/live.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "dsn/core/units.h"
#include "dsn/runtime/live_loop.h"

namespace dsn {
namespace {

constexpr double kProgressInterval = 0.2;  // between reports of progress

void check_options(const AppOptions& options) {
  const auto require = [](bool good, const char* what, double found) {
    if (!good)
      throw Error(ErrorCode::bad_usage, fmt::format("{}: found {}, expected 0 or more", what, found));
  };
  check_goal(options);
  require(std::isfinite(options.start_s) && options.start_s >= 0, "start in seconds", options.start_s);
  require(std::isfinite(options.duration_s) && options.duration_s >= 0, "duration in seconds",
          options.duration_s);
  require(options.max_frames >= 0, "number of frames", static_cast<double>(options.max_frames));
  require(options.warmup >= 0, "warm-up inferences", options.warmup);
}

void check_apps(std::span<const LiveApp> apps, const LiveInputs& inputs) {
  if (apps.empty()) throw Error(ErrorCode::bad_usage, "a run without an application");
  std::set<std::string> names;
  for (const LiveApp& app : apps) {
    check_options(app.options);
    if (!names.insert(app.name).second)
      throw Error(ErrorCode::bad_usage, fmt::format("two applications are named \"{}\"", app.name));
  }
  const bool fit = (inputs.changes == nullptr || inputs.changes->names().size() == apps.size()) &&
                   (inputs.schedule == nullptr || inputs.schedule->events.size() == apps.size());
  if (!fit) throw Error(ErrorCode::bad_usage, "changes of goals are for other applications than this run's");
}

// What several threads tell whoever started the run.
class SharedJob final : public Job {
 public:
  explicit SharedJob(Job& job) : job_(job) {}
  void begin(std::string_view phase, double total) override {
    const std::lock_guard lock(mutex_);
    job_.begin(phase, total);
  }
  void advance(double done, std::string_view note) override {
    const std::lock_guard lock(mutex_);
    job_.advance(done, note);
  }
  void end() override {
    const std::lock_guard lock(mutex_);
    job_.end();
  }
  void info(std::string_view line) override {
    const std::lock_guard lock(mutex_);
    job_.info(line);
  }
  void warn(std::string_view line) override {
    const std::lock_guard lock(mutex_);
    job_.warn(line);
  }
  [[nodiscard]] bool stop_requested() const noexcept override { return job_.stop_requested(); }

 private:
  Job& job_;
  std::mutex mutex_;
};

class LiveRun {
 public:
  LiveRun(const ManagerParts& parts, std::span<const LiveApp> apps, const LiveInputs& inputs,
          const AppRecordSink& sink, Job& job)
      : parts_(parts), apps_(apps), job_(job), manager_(parts, job_), failures_(apps.size()) {
    if (sink) {
      sink_ = [this, &sink](std::size_t app, const LiveRecord& record) {
        const std::lock_guard lock(sink_mutex_);
        sink(app, record);
      };
    }
    // Alone, an application may have every thread of the process.
    for (std::size_t a = 0; a < apps.size(); ++a)
      loops_.push_back(std::make_unique<LiveLoop>(a, apps[a], manager_, inputs,
                                                  apps.size() > 1 ? thread_name(a) : std::string(), job_));
    if (parts.board != nullptr) parts.board->begin(description());
  }

  std::vector<AppOutcome> run() {
    std::vector<std::thread> threads;
    try {
      for (std::size_t a = 0; a < apps_.size(); ++a) threads.emplace_back([this, a] { live(a); });
    } catch (const std::system_error& error) {
      give_up(apps_.size() - threads.size());
      for (std::thread& thread : threads) thread.join();
      throw Error(ErrorCode::failed, fmt::format("cannot start a thread: {}", error.what()));
    }
    for (std::thread& thread : threads) thread.join();
    job_.end();
    manager_.end();
    std::vector<AppOutcome> outcomes;
    for (std::size_t a = 0; a < apps_.size(); ++a)
      outcomes.push_back({loops_[a]->summary(), std::move(failures_[a])});
    return outcomes;
  }

 private:
  static std::string thread_name(std::size_t app) { return fmt::format("dsn-app-{}", app); }

  RunDescription description() const {
    RunDescription text;
    text.policy = parts_.policy.name();
    for (const LiveApp& app : apps_) {
      RunDescription::App one{app.name, {}, {}};
      const CostTable& costs = app.parts.costs;
      for (int level = 0; level < costs.levels(); ++level) one.accuracy.push_back(costs.accuracy(level));
      for (int p = 0; p < static_cast<int>(costs.placements().size()); ++p)
        one.placements.push_back(costs.placement_name(p));
      text.apps.push_back(std::move(one));
    }
    for (const Cluster& cluster : parts_.platform.clusters) {
      RunDescription::ClusterOf one{cluster.name, {}};
      for (const Opp& opp : cluster.opps) one.freq_hz.push_back(opp.freq_hz);
      text.clusters.push_back(std::move(one));
    }
    return text;
  }

  // One thread, from its first breath on.
  void live(std::size_t app) noexcept {
    name_thread(thread_name(app));
    LiveLoop& loop = *loops_[app];
    const bool warm = attempt(app, [&] {
      const std::lock_guard lock(warm_mutex_);
      loop.warm_up();
    });
    const bool begun = wait_for_all();
    if (warm && begun) attempt(app, [&] { loop.run(sink_, [this](double at_s) { report(at_s); }); });
    loop.leave(failures_[app].has_value());
    if (begun) parts_.clock.leave();
  }

  // Whether `work` ended well; else why it did not is kept.
  template <typename Work>
  bool attempt(std::size_t app, const Work& work) noexcept {
    try {
      try {
        work();
        return true;
      } catch (const Error& error) {
        failures_[app] = error;
      } catch (const std::exception& error) {
        failures_[app] = Error(ErrorCode::failed, error.what());
      }
      if (apps_.size() > 1)
        job_.warn(fmt::format("application {} has ended: {}", apps_[app].name, failures_[app]->message()));
    } catch (...) {  // not even room to say so
      if (!failures_[app]) failures_[app].emplace(ErrorCode::failed, "out of memory");
    }
    return false;
  }

  // Time 0 is when the last one is ready. False when one of them could not even be started.
  bool wait_for_all() noexcept {
    std::unique_lock lock(start_mutex_);
    if (++ready_ == apps_.size() && !given_up_) {
      for (std::size_t a = 0; a < apps_.size(); ++a) parts_.clock.enter();
      double total_s = 0;
      for (const LiveApp& app : apps_) {
        const AppOptions& o = app.options;
        total_s = o.duration_s > 0 && total_s >= 0 ? std::max(total_s, o.start_s + o.duration_s) : -1;
      }
      job_.begin("running", std::max(total_s, 0.0));
      manager_.start();
      begun_ = true;
      started_.notify_all();
    }
    started_.wait(lock, [this] { return begun_ || given_up_; });
    return begun_;
  }

  void give_up(std::size_t missing) {
    const std::lock_guard lock(start_mutex_);
    ready_ += missing;
    given_up_ = true;
    started_.notify_all();
  }

  void report(double at_s) {
    const std::unique_lock lock(report_mutex_, std::try_to_lock);
    if (!lock || at_s < reported_s_ + kProgressInterval) return;
    reported_s_ = at_s;
    std::string note;
    for (std::size_t a = 0; a < apps_.size(); ++a) {
      const LiveLoop::Progress& seen = loops_[a]->progress();
      note += fmt::format("{}{}level {}, {} of deadlines met", a > 0 ? "; " : "",
                          apps_.size() > 1 ? apps_[a].name + ": " : "",
                          seen.level.load(std::memory_order_relaxed),
                          format_percent(seen.met_share.load(std::memory_order_relaxed)));
    }
    job_.advance(at_s, note);
  }

  const ManagerParts& parts_;
  std::span<const LiveApp> apps_;
  SharedJob job_;
  LiveManager manager_;
  AppRecordSink sink_;
  std::vector<std::unique_ptr<LiveLoop>> loops_;
  std::vector<std::optional<Error>> failures_;
  std::mutex sink_mutex_, warm_mutex_, start_mutex_, report_mutex_;
  std::condition_variable started_;
  std::size_t ready_ = 0;
  bool begun_ = false, given_up_ = false;
  double reported_s_ = 0;
};

}  // namespace

std::vector<AppOutcome> run_live(const ManagerParts& manager, std::span<const LiveApp> apps,
                                 const LiveInputs& inputs, const AppRecordSink& sink, Job& job) {
  check_apps(apps, inputs);
  return LiveRun(manager, apps, inputs, sink, job).run();
}

RunSummary run_live(const ManagedParts& parts, FrameSource& frames, const LiveOptions& options,
                    const RecordSink& sink, Job& job) {
  const ManagerParts manager{parts.platform, parts.policy, parts.frequencies,
                             parts.load,     parts.clock,  options.move_frequencies};
  const LiveApp app{"app", {parts.executor, parts.preprocessing, parts.costs}, frames, options};
  AppRecordSink each;
  if (sink) each = [&](std::size_t /*app*/, const LiveRecord& record) { sink(record); };
  std::vector<AppOutcome> outcomes = run_live(manager, std::span(&app, 1), {}, each, job);
  if (outcomes[0].failure) throw std::move(*outcomes[0].failure);
  return std::move(outcomes[0].summary);
}

}  // namespace dsn

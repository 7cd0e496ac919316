// SPDX-License-Identifier: Apache-2.0
#include "dsn/platform/dvfs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <mutex>
#include <optional>
#include <utility>

#include "dsn/core/units.h"
#include "dsn/platform/frequency_knob.h"
#include "dsn/platform/state_file.h"

namespace dsn {
namespace {

struct ControlledCluster {
  std::string name;
  ClusterKind kind = ClusterKind::cpu;
  std::vector<double> freq_hz;
  std::vector<FrequencyKnob> knobs;
  Transitions done;
};

Error knob_failure(const FrequencyKnob& knob, const KnobOutcome& out, const std::string& action) {
  return sysfs::knob_error(out.error, fmt::format("{} {}", action, knob.name()), out.file, knob.kind());
}

class SysfsControl final : public FrequencyControl {
 public:
  SysfsControl(const Platform& platform, FrequencyControlOptions options) : options_(std::move(options)) {
    for (const Cluster& cluster : platform.clusters) {
      ControlledCluster& mine = clusters_.emplace_back();
      mine.name = cluster.name;
      mine.kind = cluster.kind;
      for (const Opp& opp : cluster.opps) mine.freq_hz.push_back(opp.freq_hz);
      const bool cpu = cluster.kind == ClusterKind::cpu;
      for (const std::string& knob : split_knob(cluster.knob))
        mine.knobs.emplace_back(options_.root, cpu ? sysfs::KnobKind::cpufreq : sysfs::KnobKind::devfreq,
                                knob);
    }
    write_before_limits_ = [this] { write_state_file(); };
  }
  SysfsControl(const SysfsControl&) = delete;
  SysfsControl& operator=(const SysfsControl&) = delete;
  ~SysfsControl() override { restore(); }

  double set_opp(std::size_t cluster, std::size_t opp) override {
    const std::lock_guard lock(mutex_);
    if (ended_) throw Error(ErrorCode::interrupted, "interrupted: frequencies are being put back");
    static_cast<void>(checked(cluster, opp));
    ControlledCluster& target = clusters_[cluster];
    const double asked_hz = target.freq_hz[opp];
    const auto started = std::chrono::steady_clock::now();
    save_everything(target, asked_hz);
    std::int64_t lowest = 0;
    bool any = false;
    std::optional<Error> offline;
    for (FrequencyKnob& knob : target.knobs) {
      std::int64_t achieved = 0;
      KnobOutcome out = knob.saved() ? KnobOutcome{} : knob.save();
      if (out.ok()) out = knob.set(std::llround(asked_hz), achieved, write_before_limits_);
      if (!out.ok()) {
        Error error = setting_failure(knob, out, asked_hz);
        if (out.error != EBUSY) throw error;
        offline = std::move(error);
      } else {
        lowest = any ? std::min(lowest, achieved) : achieved;
        any = true;
      }
    }
    if (!any) throw *offline;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    note(target.done, asked_hz, static_cast<double>(lowest), took.count());
    return static_cast<double>(lowest);
  }

  [[nodiscard]] double frequency(std::size_t cluster) const noexcept override {
    if (cluster >= clusters_.size()) return 0;
    std::int64_t lowest = 0;
    for (const FrequencyKnob& knob : clusters_[cluster].knobs) {
      const std::int64_t hz = knob.frequency();
      if (hz > 0) lowest = lowest == 0 ? hz : std::min(lowest, hz);
    }
    return static_cast<double>(lowest);
  }

  [[nodiscard]] bool can_set(std::size_t cluster) const noexcept override {
    if (cluster >= clusters_.size()) return false;
    const ControlledCluster& target = clusters_[cluster];
    return target.freq_hz.front() > 0 && std::any_of(target.knobs.begin(), target.knobs.end(),
                                                     [](const auto& knob) { return knob.writable(); });
  }

  [[nodiscard]] std::optional<Error> obstacle(std::size_t cluster) const override {
    if (can_set(cluster)) return std::nullopt;
    try {
      for (const FrequencyKnob& knob : checked(cluster, 0).knobs) {
        const KnobOutcome out = knob.obstacle();
        if (!out.ok()) return knob_failure(knob, out, "cannot set");
      }
    } catch (const Error& error) {
      return error;
    }
    return std::nullopt;
  }

  [[nodiscard]] bool holds(std::size_t cluster) const noexcept override {
    if (cluster >= clusters_.size()) return true;
    const auto& knobs = clusters_[cluster].knobs;
    return std::all_of(knobs.begin(), knobs.end(), [](const auto& knob) { return knob.holds(); });
  }

  [[nodiscard]] Transitions transitions(std::size_t cluster) const noexcept override {
    return cluster < clusters_.size() ? clusters_[cluster].done : Transitions{};
  }

  void restore() noexcept override {
    const std::lock_guard lock(mutex_);
    restore_all();
  }

  void restore_for_good() noexcept override {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    restore_all();
  }

  [[nodiscard]] std::vector<std::string> not_restored() const override {
    const std::lock_guard lock(mutex_);
    return left_;
  }

 private:
  template <typename Use>
  void for_each_knob(Use use) {
    for (ControlledCluster& cluster : clusters_)
      for (FrequencyKnob& knob : cluster.knobs) use(knob);
  }

  // Before the first write of a knob: what all of them are now, into the state file.
  void save_everything(ControlledCluster& target, double asked_hz) {
    bool news = false, recovered = false;
    for (const FrequencyKnob& knob : target.knobs) news = news || !knob.saved();
    if (!news) return;
    for_each_knob([&](const FrequencyKnob& knob) { recovered = recovered || knob.saved(); });
    if (!recovered) recover();
    news = false;
    for (FrequencyKnob& knob : target.knobs) {
      if (knob.saved()) continue;
      const KnobOutcome out = knob.save();
      if (!out.ok() && out.error != EBUSY) throw setting_failure(knob, out, asked_hz);
      news = news || out.ok();
    }
    if (!news) return;  // all that is missing is offline: asked again at the next change
    for_each_knob([](FrequencyKnob& knob) {
      if (!knob.saved()) static_cast<void>(knob.save());  // of other clusters; if it fails, it fails when set
    });
    write_state_file();
  }

  // What a killed process left behind is not what the user had.
  void recover() {
    if (options_.state_file.empty()) return;
    const FrequencyRestoration before = restore_frequencies(options_.state_file, options_.root);
    for (const KnobRestored& knob : before.knobs) {
      if (knob.problem.empty()) continue;
      throw Error(
          ErrorCode::unsupported,
          fmt::format("an earlier dsn was killed before it put frequencies back, and now: {}", knob.problem),
          fmt::format("{}; then `dsn restore` (or remove {})", knob.hint, options_.state_file.string()));
    }
  }

  void write_state_file() {
    if (options_.state_file.empty()) return;
    std::vector<KnobSettings> settings;
    for_each_knob([&](const FrequencyKnob& knob) {
      if (knob.saved()) settings.push_back(knob.found());
    });
    try {
      write_state(options_.state_file, settings);
    } catch (const Error& error) {
      throw Error(error.code(),
                  fmt::format("frequencies are left alone, as what they are now cannot be saved: {}",
                              error.message()),
                  "name a place that can be written with --state");
    }
    state_written_ = true;
  }

  void restore_all() noexcept try {
    left_.clear();
    for_each_knob([&](FrequencyKnob& knob) {
      const KnobOutcome out = knob.restore();
      if (out.ok()) return;
      const Error error = knob_failure(knob, out, "cannot put back");
      left_.push_back(error.message() + (error.hint().empty() ? "" : "; " + error.hint()));
    });
    if (!left_.empty() || !state_written_) return;
    std::error_code ignored;  // a file that stays says what is in place anyway
    fs::remove(options_.state_file, ignored);
    state_written_ = false;
  } catch (...) {  // out of memory: the state file is still there
    return;
  }

  static void note(Transitions& done, double asked_hz, double achieved_hz, double seconds) {
    done.requested_hz = asked_hz;
    done.achieved_hz = achieved_hz;
    if (std::abs(achieved_hz - asked_hz) > 0.005 * asked_hz) ++done.missed;
    if (++done.count == 1) {
      done.first_s = seconds;
      return;
    }
    done.mean_s += (seconds - done.mean_s) / static_cast<double>(done.count - 1);
    done.longest_s = std::max(done.longest_s, seconds);
  }

  // Throws unless there is such an OPP and something to set it with.
  const ControlledCluster& checked(std::size_t cluster, std::size_t opp) const {
    if (cluster >= clusters_.size()) {
      throw Error(ErrorCode::bad_usage,
                  fmt::format("cluster {} does not exist: there are {}", cluster, clusters_.size()));
    }
    const ControlledCluster& target = clusters_[cluster];
    if (opp >= target.freq_hz.size()) {
      throw Error(ErrorCode::bad_usage, fmt::format("cluster '{}' has no operating point {}: there are {}",
                                                    target.name, opp, target.freq_hz.size()));
    }
    if (target.knobs.empty() || target.freq_hz[opp] <= 0) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("cannot set the frequency of cluster '{}': {}", target.name,
                              target.knobs.empty() ? "its \"knob\" is empty" : "its frequency is not known"),
                  "this machine offers no frequency control; leave frequencies to the kernel");
    }
    return target;
  }

  static Error setting_failure(const FrequencyKnob& knob, const KnobOutcome& out, double freq_hz) {
    return sysfs::knob_error(out.error,
                             fmt::format("cannot set {} to {}", knob.name(), format_frequency(freq_hz)),
                             out.file, knob.kind());
  }

  FrequencyControlOptions options_;
  std::vector<ControlledCluster> clusters_;
  std::function<void()> write_before_limits_;
  mutable std::mutex mutex_;  // a second signal restores on another thread
  bool ended_ = false, state_written_ = false;
  std::vector<std::string> left_;
};

}  // namespace

std::unique_ptr<FrequencyControl> make_frequency_control(const Platform& platform,
                                                         const FrequencyControlOptions& options) {
  return std::make_unique<SysfsControl>(platform, options);
}

}  // namespace dsn

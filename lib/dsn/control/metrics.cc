// SPDX-License-Identifier: Apache-2.0
#include "dsn/control/metrics.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <utility>

#include "dsn/version.h"

namespace dsn {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

// Numbers as the format wants them: shortest that reads back the same, and +Inf.
std::string number(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

class Exposition {
 public:
  using Value = std::function<double(std::size_t)>;  // NaN: unknown
  Exposition(const RunDescription& description) {
    for (const auto& app : description.apps) apps_.push_back(fmt::format("app=\"{}\"", escaped(app.name)));
    for (const auto& cluster : description.clusters)
      clusters_.push_back(fmt::format("cluster=\"{}\"", escaped(cluster.name)));
  }

  // A metric with a sample per label set that has a value; left out when none has.
  void per_app(const char* name, const char* type, const char* help, const Value& value) {
    add(apps_, name, type, help, value);
  }
  void per_cluster(const char* name, const char* type, const char* help, const Value& value) {
    add(clusters_, name, type, help, value);
  }
  void one(const char* name, const char* type, const char* help, double value) {
    add({""}, name, type, help, [value](std::size_t) { return value; });
  }
  void head(const char* name, const char* type, const char* help) {
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void sample(std::string_view name, const std::string& labels, double value) {
    if (labels.empty()) {
      text_ += fmt::format("{} {}\n", name, number(value));
    } else {
      text_ += fmt::format("{}{{{}}} {}\n", name, labels, number(value));
    }
  }
  [[nodiscard]] const std::vector<std::string>& apps() const noexcept { return apps_; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void add(const std::vector<std::string>& labels, const char* name, const char* type, const char* help,
           const Value& value) {
    bool first = true;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const double found = value(i);
      if (std::isnan(found)) continue;
      if (std::exchange(first, false)) head(name, type, help);
      sample(name, labels[i], found);
    }
  }
  std::vector<std::string> apps_, clusters_;
  std::string text_;
};

double known(bool is, double value) noexcept {
  return is ? value : kUnknown;
}

void add_latencies(Exposition& out, const RunState& state) {
  out.head("dsn_latency_seconds", "histogram", "From a frame's scheduled arrival to its result.");
  for (std::size_t a = 0; a < out.apps().size(); ++a) {
    const AppState& app = state.apps[a];
    std::int64_t below = 0;
    for (std::size_t i = 0; i < app.latency_counts.size(); ++i) {
      below += app.latency_counts[i];
      const double bound = i < kLatencyBounds.size() ? kLatencyBounds[i] : INFINITY;
      out.sample("dsn_latency_seconds_bucket", fmt::format("{},le=\"{}\"", out.apps()[a], number(bound)),
                 static_cast<double>(below));
    }
    out.sample("dsn_latency_seconds_sum", out.apps()[a], app.latency_sum_s);
    out.sample("dsn_latency_seconds_count", out.apps()[a], static_cast<double>(below));
  }
}

void add_frames(Exposition& out, const RunState& state) {
  out.head("dsn_frames_total", "counter", "Frames that arrived, by what became of them.");
  for (std::size_t a = 0; a < out.apps().size(); ++a) {
    const AppState& app = state.apps[a];
    for (const auto& [result, count] : {std::pair{"completed", app.completed},
                                        std::pair{"skipped", app.skipped}, std::pair{"aborted", app.aborted}})
      out.sample("dsn_frames_total", fmt::format("{},result=\"{}\"", out.apps()[a], result),
                 static_cast<double>(count));
  }
}

void add_apps(Exposition& out, const RunDescription& description, const RunState& state) {
  const auto of = [&](auto member) {
    return [&state, member](std::size_t a) { return static_cast<double>(state.apps[a].*member); };
  };
  out.per_app("dsn_app_active", "gauge", "1 while frames arrive.", of(&AppState::active));
  out.per_app("dsn_app_paused", "gauge", "1 while paused.", of(&AppState::paused));
  out.per_app("dsn_app_failed", "gauge", "1 after its model or input failed.", of(&AppState::failed));
  add_frames(out, state);
  out.per_app("dsn_deadlines_met_total", "counter", "Frames whose latency kept the target.",
              of(&AppState::met_count));
  add_latencies(out, state);
  out.per_app("dsn_latency_target_seconds", "gauge", "The present latency target.", of(&AppState::target_s));
  out.per_app("dsn_accuracy_floor_ratio", "gauge", "The present accuracy floor, 0 to 1.",
              of(&AppState::min_accuracy));
  out.per_app("dsn_priority", "gauge", "The present priority.", of(&AppState::priority));
  out.per_app("dsn_period_seconds", "gauge", "Between arrivals, where they have a rate.",
              [&](std::size_t a) { return known(state.apps[a].period_s > 0, state.apps[a].period_s); });
  out.per_app("dsn_level", "gauge", "Level of the last inference, 0 the smallest.", of(&AppState::level));
  out.per_app("dsn_level_accuracy_ratio", "gauge", "Accuracy of that level on test images, 0 to 1.",
              [&](std::size_t a) {
                const auto& accuracy = description.apps[a].accuracy;
                const auto level = static_cast<std::size_t>(state.apps[a].level);
                return known(level < accuracy.size(), level < accuracy.size() ? accuracy[level] : 0);
              });
  out.per_app("dsn_level_switches_total", "counter", "Changes of level.", of(&AppState::switches));
  out.per_app("dsn_slowdown_ratio", "gauge", "The policy's estimate: latency over the look-up table's.",
              of(&AppState::slowdown));
  out.per_app("dsn_feasible", "gauge", "1 when the last decision expected to meet every target.",
              of(&AppState::feasible));
  out.per_app("dsn_labelled_frames_total", "counter", "Completed frames whose class is known.",
              of(&AppState::labelled));
  out.per_app("dsn_correct_frames_total", "counter", "Labelled frames that were answered correctly.",
              of(&AppState::correct));
}

void add_clusters(Exposition& out, const RunState& state) {
  const auto& clusters = state.clusters;
  out.per_cluster("dsn_cluster_frequency_hertz", "gauge", "Present frequency.",
                  [&](std::size_t c) { return known(clusters[c].freq_hz > 0, clusters[c].freq_hz); });
  out.per_cluster("dsn_cluster_opp", "gauge", "Present operating point, 0 the slowest.",
                  [&](std::size_t c) { return static_cast<double>(clusters[c].opp); });
  out.per_cluster("dsn_cluster_frequency_held", "gauge",
                  "1 when dsn set the frequency, 0 when a governor does.",
                  [&](std::size_t c) { return static_cast<double>(clusters[c].held); });
  out.per_cluster(
      "dsn_cluster_others_load_cores", "gauge", "Cores that other work keeps busy.",
      [&](std::size_t c) { return known(clusters[c].others_load >= 0, clusters[c].others_load); });
  out.per_cluster("dsn_cluster_temperature_celsius", "gauge", "Temperature.",
                  [&](std::size_t c) { return clusters[c].temp_c; });
  out.per_cluster("dsn_cluster_power_watts", "gauge", "Power.",
                  [&](std::size_t c) { return clusters[c].power_w; });
}

}  // namespace

std::string metrics_text(const RunDescription& description, const RunState& state) {
  Exposition out(description);
  out.head("dsn_info", "gauge", "Version and policy; always 1.");
  out.sample(
      "dsn_info",
      fmt::format("version=\"{}\",policy=\"{}\"", escaped(build_info().version), escaped(description.policy)),
      1);
  out.one("dsn_running", "gauge", "1 until the run has ended.", state.ended ? 0 : 1);
  out.one("dsn_run_time_seconds", "gauge", "Since the run began.", known(state.now_s >= 0, state.now_s));
  add_apps(out, description, state);
  add_clusters(out, state);
  out.one("dsn_power_watts", "gauge", "Power of the whole machine.", state.power_w);
  out.one("dsn_decisions_total", "counter", "Decisions of the policy.", static_cast<double>(state.decisions));
  out.one("dsn_decisions_infeasible_total", "counter", "Decisions that did not expect to meet every target.",
          static_cast<double>(state.infeasible));
  out.one("dsn_decisions_missing_total", "counter",
          "Inferences that went on without one: the manager stalled.", static_cast<double>(state.undecided));
  out.one("dsn_decision_last_seconds", "gauge", "What the last decision took.", state.decision_s);
  out.one("dsn_decision_longest_seconds", "gauge", "What the slowest decision took.",
          state.longest_decision_s);
  return out.take();
}

MetricsFile::MetricsFile(fs::path path, const RunBoard& board, double period_s)
    : path_(std::move(path)), board_(board) {
  check_writable(path_);
  writer_.emplace(period_s, [this] { write(); });
}

MetricsFile::~MetricsFile() {
  close();
}

void MetricsFile::close() noexcept {
  if (!writer_) return;
  writer_.reset();
  write();
}

std::optional<Error> MetricsFile::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void MetricsFile::write() noexcept {
  std::optional<Error> failed;
  try {
    const auto description = board_.description();
    if (description == nullptr) return;
    write_file_atomic(path_, metrics_text(*description, board_.read()));
  } catch (const Error& error) {
    failed = error;
  } catch (const std::exception& error) {
    failed = Error(ErrorCode::failed, error.what());
  }
  const std::lock_guard lock(mutex_);
  failure_ = std::move(failed);
}

}  // namespace dsn

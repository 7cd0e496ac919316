// SPDX-License-Identifier: Apache-2.0
#include "cli/watching.h"

#include <fmt/format.h>

#include <atomic>
#include <utility>

#include "cli/flags.h"
#include "cli/json_lines.h"
#include "cli/live_view.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "dsn/control/background.h"
#include "dsn/control/chrome_trace.h"
#include "dsn/control/line_server.h"
#include "dsn/control/metrics.h"
#include "dsn/control/run_control.h"
#include "dsn/control/watched_policy.h"

namespace dsn::cli {
namespace {

constexpr double kTraceSampleS = 0.1;

// A job that "dsn ctl stop" ends, too.
class StoppableJob final : public Job {
 public:
  explicit StoppableJob(Job& inner) : inner_(inner) {}
  void stop() noexcept { stop_.store(true, std::memory_order_relaxed); }
  void begin(std::string_view phase, double total) override { inner_.begin(phase, total); }
  void advance(double done, std::string_view note) override { inner_.advance(done, note); }
  void end() override { inner_.end(); }
  void info(std::string_view line) override { inner_.info(line); }
  void warn(std::string_view line) override { inner_.warn(line); }
  [[nodiscard]] bool stop_requested() const noexcept override {
    return stop_.load(std::memory_order_relaxed) || inner_.stop_requested();
  }

 private:
  Job& inner_;
  std::atomic<bool> stop_{false};
};

// Events of a run, in a file.
struct TraceFile {
  TraceFile(const std::string& path, const RunBoard& board)
      : file(path, JsonLines::Framing::array),
        events(board, [this](const Json& event) { file.add(event); }),
        sampler(std::in_place, kTraceSampleS, [this] { events.sample(); }) {}
  void close() {
    sampler.reset();
    events.finish();
    file.close();
  }
  JsonLines file;
  ChromeTrace events;
  std::optional<Background> sampler;
};

struct Socket {
  Socket(const fs::path& path, const RunControl& control)
      : server(path, [&control](std::string_view line) { return control.answer(line); }),
        on_forced_exit([this] { server.remove_file(); }) {}
  LineServer server;
  OnForcedExit on_forced_exit;
};

}  // namespace

struct Watching::Parts {
  Parts(const WatchFlags& its_flags, std::vector<std::string> apps, const Session& session)
      : flags(its_flags),
        changes(std::move(apps)),
        view(is_terminal(Stream::err) && !session.flags.json && !session.flags.quiet
                 ? std::make_unique<LiveView>(session.job, board)
                 : nullptr),
        job(view ? static_cast<Job&>(*view) : session.job),
        control(changes, board, [this] { job.stop(); }) {
    if (!flags.metrics.empty()) metrics.emplace(flags.metrics, board);
    if (!flags.chrome_trace.empty()) trace = std::make_unique<TraceFile>(flags.chrome_trace, board);
    if (flags.socket.empty()) return;
    socket = std::make_unique<Socket>(flags.socket == "auto" ? default_socket_path() : fs::path(flags.socket),
                                      control);
    session.job.info(fmt::format("dsn ctl reaches this run at {}", socket->server.path().string()));
  }

  WatchFlags flags;
  RunBoard board;
  GoalChanges changes;
  std::unique_ptr<LiveView> view;
  StoppableJob job;
  RunControl control;
  const WatchedPolicy* watched = nullptr;
  std::optional<MetricsFile> metrics;
  std::unique_ptr<TraceFile> trace;
  std::unique_ptr<Socket> socket;
};

Watching::Watching(const WatchFlags& flags, std::vector<std::string> apps, const Session& session)
    : parts_(std::make_unique<Parts>(flags, std::move(apps), session)) {}

Watching::~Watching() = default;

RunBoard& Watching::board() noexcept {
  return parts_->board;
}
GoalChanges& Watching::changes() noexcept {
  return parts_->changes;
}
Job& Watching::job() noexcept {
  return parts_->job;
}

std::unique_ptr<Policy> Watching::guarded(std::unique_ptr<Policy> policy) {
  if (!parts_->flags.watchdog_s) return policy;
  auto watched = std::make_unique<WatchedPolicy>(
      std::move(policy), WatchdogOptions{*parts_->flags.watchdog_s, parts_->flags.safe_setting});
  parts_->watched = watched.get();
  return watched;
}

void Watching::add(std::size_t app, const LiveRecord& record) {
  if (parts_->view) parts_->view->add(app, record);
  if (parts_->trace) parts_->trace->events.add(app, record);
}

void Watching::close() {
  parts_->socket.reset();
  std::optional<Error> failure;
  if (parts_->metrics) {
    parts_->metrics->close();
    failure = parts_->metrics->failure();
  }
  if (parts_->trace) parts_->trace->close();
  if (failure) throw Error(ErrorCode::io, fmt::format("metrics: {}", failure->message()), failure->hint());
}

std::string Watching::summary() const {
  if (parts_->watched == nullptr) return "";
  const WatchdogCounts counts = parts_->watched->counts();
  if (counts.stalls == 0) return "";
  return fmt::format("watchdog          {} stalls of the manager, {} inferences at the safe setting\n",
                     counts.stalls, counts.undecided);
}

void add_watch_flags(CLI::App& app, WatchFlags& flags) {
  add_path(app, "--socket", flags.socket,
           "Listen for dsn ctl there; auto: $XDG_RUNTIME_DIR/dsn.sock, or /tmp/dsn-UID.sock");
  add_path(app, "--metrics", flags.metrics, "Prometheus text, replaced every second; best on a tmpfs");
  add_path(app, "--chrome-trace", flags.chrome_trace,
           "Every inference and decision, for ui.perfetto.dev or chrome://tracing");
  add_duration(app, "--watchdog", flags.watchdog_s,
               "Decide on a thread of its own, and go on at --safe-setting when that takes longer");
  app.add_option("--safe-setting", flags.safe_setting,
                 "With --watchdog: last (the last that met a deadline) or static:LEVEL")
      ->type_name("NAME")
      ->capture_default_str();
  suggest(app, "--socket", {"auto"});
  suggest(app, "--safe-setting", {"last", "static:smallest"});
}

}  // namespace dsn::cli

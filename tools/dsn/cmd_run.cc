// SPDX-License-Identifier: Apache-2.0
// dsn run: real inference of one or several applications under latency targets.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <memory>

#include "cli/app_flag.h"
#include "cli/flags.h"
#include "cli/held_frequencies.h"
#include "cli/json_lines.h"
#include "cli/measuring.h"
#include "cli/run_report.h"
#include "cli/watching.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/deploy/application_set.h"
#include "dsn/runtime/live.h"

namespace dsn::cli {
namespace {

struct Flags {
  ApplicationSpec alone;  // what flags, and not --app, say; of --app, what is not said there
  std::vector<std::string> apps;
  std::string bundle, policy = "dsn", platform, overrun = "skip", schedule, log, out;
  ApplicationPlace place;
  double fps = 0, duration_s = 0;
  bool once = false;
  std::optional<double> min_met;
  FrequencyFlags frequencies;
  WatchFlags watch;
};

double unix_time_s() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

void set_limits(Flags& flags) {
  AppOptions& o = flags.alone.options;
  if (flags.once) {
    if (flags.duration_s > 0 || o.max_frames > 0) {
      throw Error(ErrorCode::bad_usage, "--once ends with the input: it excludes --duration and --frames");
    }
  } else if (flags.duration_s == 0 && o.max_frames == 0) {
    flags.duration_s = 10;
  }
  o.duration_s = flags.duration_s;
  o.period_s = flags.fps > 0 ? 1 / flags.fps : 0;
  o.overrun = parse_overrun(flags.overrun);
  flags.alone.repeat = !flags.once;
}

// --duration is of the run: an application that comes later has what is left of it, unless it says otherwise.
ApplicationSpec one_of_several(const Flags& flags, const std::string& text) {
  ApplicationSpec spec = parse_app(text, flags.alone);
  AppOptions& o = spec.options;
  const bool own = o.duration_s != flags.alone.options.duration_s;
  if (!own && o.duration_s > 0 && o.start_s > 0) {
    o.duration_s -= o.start_s;
    if (o.duration_s <= 0) {
      throw Error(
          ErrorCode::bad_usage,
          fmt::format("--app {}: starts at {}, after the run's end", spec.name, format_duration(o.start_s)),
          "give it a duration=, or the run a longer --duration");
    }
  }
  return spec;
}

std::vector<ApplicationSpec> specs_of(Flags& flags) {
  set_limits(flags);
  const bool alone = !flags.bundle.empty() || flags.alone.options.target_s != 0;
  if (flags.apps.empty()) {
    if (flags.bundle.empty())
      throw Error(ErrorCode::bad_usage, "BUNDLE is required, or --app NAME=BUNDLE,...");
    if (flags.alone.input.empty()) throw Error(ErrorCode::bad_usage, "--input is required");
    if (flags.alone.options.target_s == 0) throw Error(ErrorCode::bad_usage, "--target-latency is required");
    flags.alone.bundle = flags.bundle;
    return {flags.alone};
  }
  if (alone) {
    throw Error(ErrorCode::bad_usage, "--app excludes BUNDLE and --target-latency",
                "give every application as --app NAME=BUNDLE,input=SPEC,target=20ms");
  }
  std::vector<ApplicationSpec> specs;
  for (const std::string& text : flags.apps) specs.push_back(one_of_several(flags, text));
  return specs;
}

// What ended an application, and then what was promised of all.
void require_success(const ApplicationSet& apps, std::span<const AppOutcome> outcomes,
                     const std::optional<double>& min_met) {
  const bool several = apps.size() > 1;
  for (std::size_t a = 0; a < apps.size(); ++a) {
    if (!outcomes[a].failure) continue;
    if (!several) throw *outcomes[a].failure;
    throw Error(
        outcomes[a].failure->code(),
        fmt::format("application {} has ended: {}", apps.spec(a).name, outcomes[a].failure->message()),
        outcomes[a].failure->hint());
  }
  if (done_status() != 0 || !min_met) return;
  for (std::size_t a = 0; a < apps.size(); ++a) {
    const auto share = outcomes[a].summary.met_share();
    if (share.value_or(0) >= *min_met) continue;
    throw Error(
        ErrorCode::infeasible,
        fmt::format("{}{} of deadlines met, --min-met asks for {}", several ? apps.spec(a).name + ": " : "",
                    share ? format_percent(*share) : "unknown", format_percent(*min_met)));
  }
}

int run(Flags& flags, const Session& session) {
  std::vector<ApplicationSpec> specs = specs_of(flags);
  if (!flags.out.empty()) check_writable(flags.out);
  auto chosen = make_policy(flags.policy);
  const Platform platform = platform_or_this_machine(flags.platform, flags.frequencies.root);
  ApplicationSet apps(std::move(specs), platform, flags.place);
  Watching watching(flags.watch, apps.names(), session);
  const auto policy = watching.guarded(std::move(chosen));
  std::optional<GoalSchedule> schedule;
  if (!flags.schedule.empty()) schedule = GoalSchedule::load(flags.schedule, watching.changes().names());
  const HeldFrequencies frequencies(flags.frequencies, platform,
                                    static_cast<std::size_t>(apps.costs(0).placements().front().cluster),
                                    session.job);
  std::unique_ptr<JsonLines> log;
  if (!flags.log.empty()) log = std::make_unique<JsonLines>(flags.log);
  auto doubts = measuring_doubts();  // before the run makes the machine busy
  for (std::size_t a = 0; a < apps.size(); ++a) {
    for (auto& doubt : apps.bundle(a).family.calibration_doubts()) {
      session.job.warn(doubt);
      doubts.push_back(std::move(doubt));
    }
  }

  const auto load = make_load_monitor(platform);
  const ManagerParts manager{platform,         *policy,           frequencies.control(),
                             load.get(),       monotonic_clock(), frequencies.moves(),
                             &watching.board()};
  std::optional<double> started_unix_s;  // time 0 of the records
  const auto sink = [&](std::size_t app, const LiveRecord& record) {
    watching.add(app, record);
    if (!started_unix_s && !record.skipped) started_unix_s = unix_time_s() - record.done_s;
    if (log) log->add(to_json(record, apps.costs(app), apps.spec(app).name));
  };
  const std::vector<LiveApp> live = apps.live();
  const std::vector<AppOutcome> outcomes =
      run_live(manager, live, {&watching.changes(), schedule ? &*schedule : nullptr}, sink, watching.job());

  Json report = run_report({flags.place.seed, flags.policy, flags.frequencies.mode, flags.place.device}, apps,
                           platform, outcomes, doubts);
  if (started_unix_s) report["started_unix_s"] = *started_unix_s;
  if (frequencies.moves()) {
    report["frequency_transitions"] = frequencies.transitions();
    if (apps.size() == 1) report["run"]["frequency_transitions"] = report["frequency_transitions"];
  }
  if (!flags.out.empty()) write_file_atomic(flags.out, dump_json(report));
  session.result(report, run_text(apps, outcomes) + watching.summary() + frequencies.summary());
  if (log) log->close();
  watching.close();
  require_success(apps, outcomes, flags.min_met);
  return done_status();
}

void add_goal(CLI::App& app, Flags& flags) {
  AppOptions& o = flags.alone.options;
  app.add_option_function<std::vector<std::string>>(
         "--app", [&flags](const std::vector<std::string>& texts) { flags.apps = texts; },
         fmt::format("One of several applications: NAME=BUNDLE, then KEY=VALUE ({})", app_keys()))
      ->type_name("SPEC")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  add_duration(app, "--target-latency", o.target_s, "From a frame's arrival to its result");
  add_fraction(app, "--probability", o.probability, "Share of frames that shall meet the target")
      ->default_str("0.99");
  add_fraction(app, "--min-accuracy", o.min_accuracy, "Only levels that are this accurate");
  app.add_option("--fps", flags.fps, "Frames per second; default: one frame after another")
      ->check(CLI::PositiveNumber);
  app.add_option("--overrun", flags.overrun,
                 "A frame that finds the one before still running: skip (late by a period: dropped, missed), "
                 "queue, or abort (given up at its deadline, between two blocks of the network)")
      ->check(CLI::IsMember({"skip", "queue", "abort"}))
      ->capture_default_str();
  add_path(app, "--schedule", flags.schedule, "Targets that change at set times (dsn.schedule)");
  add_duration(app, "--duration", flags.duration_s,
               "How long to run; default 10 s unless --frames or --once");
  app.add_option("--frames", o.max_frames, "How many frames to run")->check(CLI::PositiveNumber);
  app.add_flag("--once", flags.once, "Run the input once, to its end");
  add_fraction(app, "--min-met", flags.min_met, "Exit status 3 when a smaller share of deadlines was met");
}

// Those that can be typed as they are, without "static:LEVEL".
std::vector<std::string> fixed_policy_names() {
  std::vector<std::string> names = policy_names();
  std::erase_if(names, [](const std::string& name) { return name.find("LEVEL") != std::string::npos; });
  return names;
}

}  // namespace

Command add_run(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App& app =
      *root.add_subcommand("run", "Run bundles on images, video or a camera under latency targets");
  add_path(app, "BUNDLE", flags->bundle, "Bundle of dsn export: a folder or a .dsnb file");
  app.add_option("--input", flags->alone.input,
                 "A data set (fashion-mnist[@test]), an image, a folder of images, video:FILE, camera:N")
      ->type_name("SPEC");
  add_goal(app, *flags);
  app.add_option("--policy", flags->policy, fmt::format("{}", fmt::join(policy_names(), ", ")))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--threads", flags->alone.threads,
                 "Use only this thread count of the look-up table; default: the policy chooses")
      ->check(in_range(1, 1024));
  add_path(app, "--platform", flags->platform,
           "Description of this machine; default: discovered (see dsn platform)");
  add_frequency_flags(app, flags->frequencies, "set them");
  app.add_option("--engine", flags->place.engine,
                 "Executor to run on; auto: the best that the bundle has costs of on this device")
      ->capture_default_str();
  app.add_option("-d,--device", flags->place.device, "cpu or cuda[:N]")->capture_default_str();
  add_path(app, "--log", flags->log, "A line of JSON per frame");
  add_watch_flags(app, flags->watch);
  add_path(app, "-o,--out", flags->out, "Write the report (dsn.report) here");
  add_seed(app, flags->place.seed);
  add_common(app, common, "dsn run bundle --input fashion-mnist --target-latency 5ms --fps 100",
             "dsn run --app cam=a.dsnb,input=camera:0,target=20ms,fps=30 --app "
             "plate=b.dsnb,input=photos,target=80ms,fps=5");
  suggest(app, "--input", {"fashion-mnist", "video:", "camera:"});
  suggest(app, "--policy", fixed_policy_names());
  suggest(app, "--engine", engine_names());
  suggest(app, "--device", {"cpu", "cuda"});
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli

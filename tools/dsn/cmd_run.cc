// SPDX-License-Identifier: Apache-2.0
// dsn run: real inference under a latency target.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "cli/flags.h"
#include "cli/held_frequencies.h"
#include "cli/json_lines.h"
#include "cli/measuring.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/deploy/application.h"
#include "dsn/runtime/feasibility.h"
#include "dsn/runtime/live.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string bundle, input, policy = "dsn", platform, engine = "auto", device = "cpu", log, out,
                             overrun = "skip";
  std::uint64_t seed = 1;
  int threads = 0;
  double fps = 0;
  bool once = false;
  std::optional<double> min_met;
  FrequencyFlags frequencies;
  LiveOptions options;
};

void set_limits(Flags& flags) {
  LiveOptions& o = flags.options;
  if (flags.once) {
    if (o.duration_s > 0 || o.max_frames > 0) {
      throw Error(ErrorCode::bad_usage, "--once ends with the input: it excludes --duration and --frames");
    }
  } else if (o.duration_s == 0 && o.max_frames == 0) {
    o.duration_s = 10;
  }
  o.period_s = flags.fps > 0 ? 1 / flags.fps : 0;
  o.overrun = flags.overrun == "queue" ? Overrun::queue : Overrun::skip;
  o.move_frequencies = flags.frequencies.mode == "control";
}

Json report_of(const Flags& flags, const Bundle& bundle, const Platform& platform, const Executor& executor,
               const RunSummary& summary, const std::vector<std::string>& doubts) {
  const LiveOptions& o = flags.options;
  Json report = doubtful_envelope("dsn.report", flags.seed, doubts);
  report["kind"] = "run";
  report["inputs"] = Json::array({{{"role", "bundle"}, {"sha256", bundle.sha256}}});
  report["settings"] = {{"input", flags.input},           {"policy", flags.policy},
                        {"target_s", o.target_s},         {"probability", o.probability},
                        {"min_accuracy", o.min_accuracy}, {"overrun", flags.overrun},
                        {"dvfs", flags.frequencies.mode}, {"engine", std::string(executor.name())},
                        {"device", flags.device}};
  if (o.period_s > 0) {
    report["settings"]["period_s"] = o.period_s;
  } else {
    report["settings"]["period_s"] = nullptr;
    report["settings"]["period_s_reason"] = "a frame arrives when the one before is done";
  }
  report["platform"] = {{"name", platform.name}, {"sha256", platform.sha256}};
  const MemoryUse memory = executor.memory();
  report["memory"] = {
      {"weights_bytes", memory.weights}, {"levels_bytes", memory.levels}, {"work_bytes", memory.work}};
  report["run"] = summary.to_json();
  return report;
}

std::string percent(const std::optional<double>& share) {
  return share ? format_percent(*share) : std::string("unknown");
}

std::string time_of(const std::optional<double>& seconds) {
  return seconds ? format_duration(*seconds) : std::string("-");
}

std::string summary_text(const Flags& flags, const RunSummary& summary, const CostTable& costs,
                         const MemoryUse& memory) {
  std::string text =
      fmt::format("policy {}, target {}{}, {} of {}\n", summary.policy, format_duration(summary.target_s),
                  flags.fps > 0 ? fmt::format(" at {:g} frames/s", flags.fps) : ", one frame after another",
                  format_duration(summary.duration_s), flags.input);
  const auto share = summary.met_share();
  const bool kept = share && *share >= summary.probability;
  text += fmt::format("deadlines met     {}  ({} of {} frames, {} skipped)\n",
                      paint(Stream::out, kept ? Paint::green : Paint::red, percent(share)), summary.met,
                      summary.arrivals(), summary.skipped);
  text += fmt::format("latency           p50 {}, p95 {}, p99 {}\n", time_of(summary.latency.quantile(0.5)),
                      time_of(summary.latency.quantile(0.95)), time_of(summary.latency.quantile(0.99)));
  if (summary.labelled > 0) {
    text += fmt::format("accuracy          {}  (of {} labelled frames)\n", percent(summary.accuracy()),
                        summary.labelled);
  } else {
    text += fmt::format(
        "accuracy          {}  (what the levels had on test images; these frames have no labels)\n",
        percent(summary.expected_accuracy()));
  }
  text += fmt::format("level switches    {}\n", summary.switches);
  text += fmt::format("slowdown          {:.2f} times the undisturbed latency\n", summary.slowdown_mean);
  text += fmt::format("engine memory     {} of weights, {} of levels, {} to work in\n",
                      format_bytes(static_cast<double>(memory.weights)),
                      format_bytes(static_cast<double>(memory.levels)),
                      format_bytes(static_cast<double>(memory.work)));
  Table table;
  table.column("level");
  table.column("accuracy %");
  table.column("frames");
  table.column("met %");
  table.column("time %");
  for (std::size_t i = 0; i < summary.levels.size(); ++i) {
    const auto& at = summary.levels[i];
    table.row({std::to_string(i), fmt::format("{:.2f}", costs.accuracy(static_cast<int>(i)) * 100),
               std::to_string(at.count),
               at.count > 0 ? fmt::format("{:.1f}",
                                          100.0 * static_cast<double>(at.met) / static_cast<double>(at.count))
                            : "-",
               summary.duration_s > 0 ? fmt::format("{:.1f}", 100 * at.time_s / summary.duration_s) : "-"});
  }
  return text + '\n' + table.str();
}

int run(Flags& flags, const Session& session) {
  set_limits(flags);
  if (!flags.out.empty()) check_writable(flags.out);
  const auto policy = make_policy(flags.policy);
  const Bundle bundle = Bundle::open(flags.bundle);
  const Platform platform = platform_or_this_machine(flags.platform, flags.frequencies.root);
  const Lut& lut = costs_here(bundle, platform, flags.engine);
  const auto executor = make_executor(lut.engine, bundle.space, bundle.weights, flags.device);
  const CostTable costs(bundle.family, lut, platform, flags.threads);
  require_feasible(costs, flags.options);
  const auto frames = open_frames(flags.input, flags.seed, !flags.once);
  const HeldFrequencies frequencies(
      flags.frequencies, platform, static_cast<std::size_t>(costs.placements().front().cluster), session.job);
  std::unique_ptr<JsonLines> log;
  if (!flags.log.empty()) log = std::make_unique<JsonLines>(flags.log);
  auto doubts = measuring_doubts();  // before the run makes the machine busy
  for (auto& doubt : bundle.family.calibration_doubts()) {
    session.job.warn(doubt);
    doubts.push_back(std::move(doubt));
  }

  executor->prepare(bundle.levels);
  const auto load = make_load_monitor(platform);
  const ManagedParts parts{*executor, bundle.preprocessing,  costs,     platform,
                           *policy,   frequencies.control(), load.get()};
  const auto sink = [&](const LiveRecord& record) {
    if (log) log->add(to_json(record, costs));
  };
  const RunSummary summary = run_live(parts, *frames, flags.options, sink, session.job);

  Json report = report_of(flags, bundle, platform, *executor, summary, doubts);
  if (frequencies.moves()) report["run"]["frequency_transitions"] = frequencies.transitions();
  if (!flags.out.empty()) write_file_atomic(flags.out, dump_json(report));
  session.result(report, summary_text(flags, summary, costs, executor->memory()) + frequencies.summary());
  if (log) log->close();
  if (done_status() != 0) return done_status();
  if (flags.min_met && summary.met_share().value_or(0) < *flags.min_met) {
    throw Error(ErrorCode::infeasible,
                fmt::format("{} of deadlines met, --min-met asks for {}", percent(summary.met_share()),
                            format_percent(*flags.min_met)));
  }
  return 0;
}

void add_goal(CLI::App& app, Flags& flags) {
  LiveOptions& o = flags.options;
  add_duration(app, "--target-latency", o.target_s, "From a frame's arrival to its result")->required();
  add_fraction(app, "--probability", o.probability, "Share of frames that shall meet the target")
      ->default_str("0.99");
  add_fraction(app, "--min-accuracy", o.min_accuracy, "Only levels that are this accurate");
  app.add_option("--fps", flags.fps, "Frames per second; default: one frame after another")
      ->check(CLI::PositiveNumber);
  app.add_option(
         "--overrun", flags.overrun,
         "A frame that finds the one before still running: skip (late by a period: dropped, missed) or queue")
      ->check(CLI::IsMember({"skip", "queue"}))
      ->capture_default_str();
  add_duration(app, "--duration", o.duration_s, "How long to run; default 10 s unless --frames or --once");
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
      *root.add_subcommand("run", "Run a bundle on images, video or a camera under a latency target");
  add_path(app, "BUNDLE", flags->bundle, "Bundle of dsn export: a folder or a .dsnb file")->required();
  app.add_option("--input", flags->input,
                 "A data set (fashion-mnist[@test]), an image, a folder of images, video:FILE, camera:N")
      ->type_name("SPEC")
      ->required();
  add_goal(app, *flags);
  app.add_option("--policy", flags->policy, fmt::format("{}", fmt::join(policy_names(), ", ")))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--threads", flags->threads,
                 "Use only this thread count of the look-up table; default: the policy chooses")
      ->check(in_range(1, 1024));
  add_path(app, "--platform", flags->platform,
           "Description of this machine; default: discovered (see dsn platform)");
  add_frequency_flags(app, flags->frequencies, "set them");
  app.add_option("--engine", flags->engine,
                 "Executor to run on; auto: the best that the bundle has costs of on this device")
      ->capture_default_str();
  app.add_option("-d,--device", flags->device, "cpu or cuda[:N]")->capture_default_str();
  add_path(app, "--log", flags->log, "A line of JSON per frame");
  add_path(app, "-o,--out", flags->out, "Write the report (dsn.report) here");
  add_seed(app, flags->seed);
  add_common(
      app, common, "dsn run bundle --input fashion-mnist --target-latency 5ms --fps 100",
      "dsn run bundle --input camera:0 --target-latency 20ms --fps 30 --min-met 0.99 --log frames.jsonl");
  suggest(app, "--input", {"fashion-mnist", "video:", "camera:"});
  suggest(app, "--policy", fixed_policy_names());
  suggest(app, "--engine", engine_names());
  suggest(app, "--device", {"cpu", "cuda"});
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli

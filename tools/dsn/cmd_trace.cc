// SPDX-License-Identifier: Apache-2.0
// dsn trace: workload traces checked, made of other recordings, drawn.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "cli/flags.h"
#include "cli/replay_models.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/replay/trace.h"
#include "dsn/replay/trace_import.h"
#include "dsn/replay/trace_summary.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string action, file, out, format;
  ImportOptions import;
  std::optional<double> mean_rate_hz;
};

int check(const Flags& flags, const Session& session) {
  const Trace trace = load_trace(flags.file);
  const Json summary = trace_summary(trace);
  session.result(summary, summary_text(summary));
  return done_status();
}

int plot(const Flags& flags, const Session& session) {
  if (flags.out.empty()) throw Error(ErrorCode::bad_usage, "--out is required: the page to write");
  check_writable(flags.out);
  const Trace trace = load_trace(flags.file);
  write_file_atomic(flags.out, html_of(trace_page(trace)));
  session.result({{"page", flags.out}}, fmt::format("wrote {}\n", flags.out));
  return done_status();
}

int import(Flags& flags, const Session& session) {
  if (flags.format.empty())
    throw Error(ErrorCode::bad_usage, "--format is required",
                fmt::format("one of {}", fmt::join(import_formats(), ", ")));
  if (!flags.out.empty()) check_writable(flags.out);
  flags.import.mean_rate_hz = flags.mean_rate_hz;
  // With the bundle at hand, what contention did to a live run can be told from what the policy chose.
  std::optional<CostTable> costs;
  if (flags.format == "run-log" && !flags.import.bundle.empty())
    costs = costs_of_bundle(flags.import.bundle, flags.import.platform);
  if (costs) flags.import.costs = &*costs;
  const Json json = import_trace(flags.format, flags.file, flags.import);
  if (!flags.out.empty()) write_file_atomic(flags.out, dump_json(json));
  const Json summary = trace_summary(parse_trace(json, flags.out.empty() ? flags.file : flags.out, "."));
  for (const Json& warning : json.at("warnings")) session.job.info(warning.get<std::string>());
  session.result(json, flags.out.empty() ? dump_json(json) : summary_text(summary));
  return done_status();
}

int run(Flags& flags, const Session& session) {
  if (flags.action == "check") return check(flags, session);
  if (flags.action == "plot") return plot(flags, session);
  if (flags.action == "import") return import(flags, session);
  throw Error(ErrorCode::bad_usage,
              fmt::format("ACTION: found '{}', expected check, import or plot", flags.action));
}

}  // namespace

Command add_trace(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  ImportOptions& o = flags->import;
  CLI::App& app =
      *root.add_subcommand("trace", "Check and draw workload traces, or make one of another recording");
  app.add_option(
         "ACTION", flags->action,
         "check: is it one, and what does it ask for; import: make one; plot: a page with its time lines")
      ->required();
  add_path(app, "FILE", flags->file, "A dsn.trace file; with import the recording")->required();
  add_path(app, "-o,--out", flags->out, "import: trace to write (default: stdout); plot: page to write");
  app.add_option("--format", flags->format, "import: csv, azure2019, azure2021, loadgen, rt-app, run-log")
      ->type_name("NAME");
  add_path(app, "--bundle", o.bundle, "import: the application's model, a bundle of dsn export");
  add_path(app, "--family", o.family, "import: instead of a bundle its levels (dsn.family), with --lut");
  add_path(app, "--lut", o.lut, "import: and their costs (dsn.lut)");
  add_path(app, "--platform", o.platform, "import: platform to replay on");
  add_duration(app, "--target-latency", o.target_s, "import: where the recording has none")
      ->default_str("100ms");
  add_fraction(app, "--probability", o.probability, "import: share of inferences that shall meet it")
      ->default_str("0.99");
  add_fraction(app, "--min-accuracy", o.min_accuracy, "import: accuracy floor");
  app.add_option("--overrun", o.on_overrun, "import: what becomes of arrivals while the last inference runs")
      ->check(CLI::IsMember({"skip", "queue", "late", "abort"}));
  app.add_option("--compress", o.compress, "import: divide times by this; a day by 720 is two minutes")
      ->check(CLI::PositiveNumber);
  app.add_option("--mean-rate", flags->mean_rate_hz, "import: arrivals per second on average, shape kept")
      ->check(CLI::PositiveNumber);
  app.add_option(
         "--select", o.select,
         "import: azure: sum (default) or one function's hash; rt-app: the task that is the application")
      ->type_name("NAME");
  app.add_option("--cluster", o.cluster, "import: rt-app: cluster of the contenders")->type_name("NAME");
  add_seed(app, o.seed);
  add_common(app, common, "dsn trace check examples/two-apps.trace.json",
             "dsn trace import run.jsonl --format run-log --bundle bundle --out run.trace.json");
  suggest(app, "ACTION", {"check", "import", "plot"});
  suggest(app, "--format", import_formats());
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli

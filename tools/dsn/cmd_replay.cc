// SPDX-License-Identifier: Apache-2.0
// dsn replay: a recorded or written workload under several policies, simulated.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/flags.h"
#include "cli/replay_models.h"
#include "cli/table.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/replay/fail_if.h"
#include "dsn/replay/replay.h"
#include "dsn/replay/timeline.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string trace, platform, out, html, chrome_trace;
  std::optional<std::uint64_t> seed;
  ReplayOptions options;
};

bool is_number(const std::string& cell) {
  return cell == "-" || cell.find_first_not_of("0123456789.+-e ") == std::string::npos;
}

std::string table_of(const Json& report) {
  const auto rows = replay_table(report);
  Table table;
  for (std::size_t c = 0; c < rows.front().size(); ++c) {
    const bool numbers =
        std::all_of(rows.begin() + 1, rows.end(), [c](const auto& row) { return is_number(row[c]); });
    table.column(rows.front()[c], numbers ? Table::Align::right : Table::Align::left);
  }
  for (std::size_t r = 1; r < rows.size(); ++r) table.row(rows[r]);
  return table.str();
}

// Both are of a second simulation: what is recorded must not change what is reported.
void write_timelines(const Flags& flags, const LoadedWorkload& loaded, const Json& report,
                     const Session& session) {
  if (flags.html.empty() && flags.chrome_trace.empty()) return;
  TimelineOptions options;
  options.keep_inferences = !flags.chrome_trace.empty();
  const Timeline timeline = record_timeline(loaded, flags.options, options, session.job);
  if (!flags.html.empty()) write_file_atomic(flags.html, html_of(replay_page(loaded, report, timeline)));
  if (!flags.chrome_trace.empty()) write_file_atomic(flags.chrome_trace, chrome_trace(loaded, timeline));
}

int run(Flags& flags, const Session& session) {
  for (const std::string& path : {flags.out, flags.html, flags.chrome_trace}) {
    if (!path.empty()) check_writable(path);
  }
  flags.options.seed = flags.seed;
  for (const auto& policy : flags.options.policies)
    static_cast<void>(parse_policy_spec(policy));  // before anything is read
  const LoadedWorkload loaded = load_workload(flags.trace, flags.platform, read_bundle);
  const Json report = replay(loaded, flags.options, session.job);
  if (!flags.out.empty()) write_file_atomic(flags.out, dump_json(report));
  write_timelines(flags, loaded, report, session);
  session.result(report, table_of(report));
  if (done_status() != 0) return done_status();
  if (const std::string failed = failed_conditions(report); !failed.empty())
    throw Error(ErrorCode::infeasible, fmt::format("--fail-if: {}", failed));
  return 0;
}

}  // namespace

Command add_replay(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  flags->options.threads = default_threads();
  CLI::App& app =
      *root.add_subcommand("replay", "Simulate a workload trace under several policies and compare them");
  add_path(app, "TRACE", flags->trace, "A dsn.trace file")->required();
  add_path(app, "--platform", flags->platform, "A dsn.platform file instead of the trace's own");
  app.add_option("--policy", flags->options.policies,
                 "Policies to compare: dsn, static:LEVEL, performance, powersave, schedutil[:LEVEL], oracle "
                 "(a bound)")
      ->delimiter(',')
      ->type_name("NAME,...")
      ->capture_default_str();
  app.add_option("--seed", flags->seed, "Seed of arrivals and noise; default: the trace's");
  app.add_option("--seeds", flags->options.seeds,
                 "Replay with this many seeds, one after the other: means with 95 % intervals")
      ->check(in_range(1, 10000))
      ->capture_default_str();
  app.add_option(
         "--fail-if", flags->options.fail_if,
         "Exit status 3 when it holds: POLICY.[APP.]NAME > NUMBER, or > NUMBER*POLICY.[APP.]NAME; also <, "
         ">=, <=; NAME: energy_j, deadline_miss, accuracy, latency_p99_s, ... (a wrong one lists all); may "
         "be given several times")
      ->type_name("CONDITION")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  add_threads(app, flags->options.threads);
  add_path(app, "-o,--out", flags->out, "Write the report (dsn.report) here");
  add_path(app, "--html", flags->html,
           "Write a page here: the table, and time lines that zoom, policy beside policy");
  add_path(app, "--chrome-trace", flags->chrome_trace,
           "Write every inference here, for chrome://tracing or ui.perfetto.dev (Trace Event JSON)");
  add_common(app, common, "dsn replay examples/xavier-nx-contention.trace.json",
             "dsn replay trace.json --platform board.platform.json --policy dsn,schedutil,oracle --seeds 10 "
             "--fail-if "
             "'dsn.deadline_miss>0.01' --fail-if 'dsn.energy_j>schedutil.energy_j'");
  suggest(app, "--policy",
          {"dsn", "static:largest", "static:smallest", "performance", "powersave", "schedutil", "oracle"});
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli

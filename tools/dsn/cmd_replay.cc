// SPDX-License-Identifier: Apache-2.0
// dsn replay: a recorded or written workload under several policies, simulated.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/flags.h"
#include "cli/table.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/deploy/bundle.h"
#include "dsn/replay/replay.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string trace, platform, out;
  std::optional<std::uint64_t> seed;
  ReplayOptions options;
};

// The costs on the platform that is replayed; of the first device when any will do.
AppModel read_bundle(const fs::path& path, const std::string& platform_sha256) {
  Bundle bundle = Bundle::open(path);
  const auto on_platform = std::find_if(bundle.luts.begin(), bundle.luts.end(), [&](const Lut& lut) {
    return lut.platform_sha256 == platform_sha256;
  });
  // A platform that none of them is of is refused where they are bound together.
  Lut& lut = on_platform == bundle.luts.end() ? bundle.luts.front() : *on_platform;
  return {std::move(bundle.family), std::move(lut), {{"bundle", bundle.sha256}}};
}

bool is_number(const std::string& cell) {
  return cell == "-" || cell.find_first_not_of("0123456789.+-e") == std::string::npos;
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

int run(Flags& flags, const Session& session) {
  if (!flags.out.empty()) check_writable(flags.out);
  flags.options.seed = flags.seed;
  for (const auto& policy : flags.options.policies)
    static_cast<void>(parse_policy_spec(policy));  // before anything is read
  const LoadedWorkload loaded = load_workload(flags.trace, flags.platform, read_bundle);
  const Json report = replay(loaded, flags.options, session.job);
  if (!flags.out.empty()) write_file_atomic(flags.out, dump_json(report));
  session.result(report, table_of(report));
  return done_status();
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
                 "Policies to compare: dsn, static:LEVEL, performance, powersave, schedutil[:LEVEL]")
      ->delimiter(',')
      ->type_name("NAME,...")
      ->capture_default_str();
  app.add_option("--seed", flags->seed, "Seed of arrivals and noise; default: the trace's");
  add_threads(app, flags->options.threads);
  add_path(app, "-o,--out", flags->out, "Write the report (dsn.report) here");
  add_common(app, common, "dsn replay examples/xavier-nx-contention.trace.json",
             "dsn replay trace.json --platform board.platform.json --policy dsn,schedutil --seed 7 --out "
             "report.json");
  suggest(app, "--policy",
          {"dsn", "static:largest", "static:smallest", "performance", "powersave", "schedutil"});
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli

// SPDX-License-Identifier: Apache-2.0
// dsn profile: what a super-network's units and sub-networks cost on this machine.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "cli/flags.h"
#include "cli/frequency_fit.h"
#include "cli/held_frequencies.h"
#include "cli/measuring.h"
#include "cli/profile_text.h"
#include "commands.h"
#include "dsn/core/file.h"
#include "dsn/platform/temperature.h"
#include "dsn/profile/measure.h"
#include "dsn/runtime/affinity.h"
#include "dsn/search/family.h"
#include "dsn/supernet/checkpoint.h"

namespace dsn::cli {
namespace {

struct Flags {
  std::string supernet, family, platform, cluster, energy = "auto", engine = "auto", out, against;
  bool resume = false, no_units = false, require_energy = false, quick = false;
  std::vector<double> contention;
  std::vector<std::string> load_kinds = {"compute", "memory"};
  FrequencyFlags frequencies;
  std::size_t opps = 0;
  ProfileOptions options;
};

std::vector<SubnetConfig> configs_of(const std::string& family_file, const SearchSpace& space) {
  std::vector<SubnetConfig> configs;
  if (family_file.empty()) return configs;
  const Family family = Family::load(family_file);
  if (family.space_sha256 != space.sha256()) {
    throw Error(ErrorCode::mismatch,
                fmt::format("{} is of space {}, the super-network of space {}", family_file,
                            family.space_sha256.substr(0, 12), space.sha256().substr(0, 12)),
                "use the family that dsn search made from this super-network");
  }
  for (const Level& level : family.levels) configs.push_back(space.canonical(level.config));
  return configs;
}

// The energy meter asked for; none is an answer unless --require-energy.
std::unique_ptr<EnergyMeter> meter_for(const Flags& flags) {
  auto meter = flags.energy == "off" ? nullptr : open_meter(flags.energy, flags.frequencies.root);
  if (meter == nullptr && flags.require_energy) {
    throw Error(ErrorCode::unsupported, "--require-energy: this machine has no energy meter that can be used",
                "dsn doctor says what would change that");
  }
  return meter;
}

// Of several CPU clusters the one that is measured is the one to run on.
void place_on(const Platform& platform, const Flags& flags, ProcessAffinity& affinity) {
  const auto clusters = std::count_if(platform.clusters.begin(), platform.clusters.end(),
                                      [](const Cluster& c) { return c.kind == ClusterKind::cpu; });
  const Cluster& cluster = platform.clusters[flags.options.cluster];
  if (clusters > 1 && cluster.kind == ClusterKind::cpu && flags.frequencies.root.empty())
    affinity.bind(cluster.cpus);
}

// Of the meter and what was measured with it besides the LUT's rows.
Json energy_json(const EnergyMeter& meter, const std::vector<PointReport>& reports) {
  Json json = to_json(meter.info());
  json["points"] = Json::array();
  for (const auto& report : reports) {
    Json row = {{"point", describe(report.point)}, {"levels", report.energies}};
    if (report.idle) {
      row["idle_power_w"] = report.idle->power_w();
      row["idle_samples"] = report.idle->samples;
    }
    if (!report.energy_problem.empty()) row["problem"] = report.energy_problem;
    json["points"].push_back(std::move(row));
  }
  return json;
}

// Shares of a cluster's CPUs that carry other work, as so many workers.
std::vector<CoLoad> loads_of(const Flags& flags, const Cluster& cluster) {
  std::vector<CoLoad> loads;
  const auto cpus = static_cast<double>(cluster.cpus.empty() ? default_threads() : cluster.cpus.size());
  for (const std::string& kind : flags.load_kinds) {
    for (const double share : flags.contention) {
      if (share <= 0) continue;  // alone: measured anyway
      const CoLoad load{parse_load_kind(kind), std::max(1, static_cast<int>(std::lround(share * cpus)))};
      if (std::find(loads.begin(), loads.end(), load) == loads.end()) loads.push_back(load);
    }
  }
  return loads;
}

// --quick: what was not asked for by name becomes short.
void hurry(const CLI::App& app, Flags& flags) {
  ProfileOptions& o = flags.options;
  const auto shorten = [&](const char* name, auto& value, auto to) {
    if (app.count(name) == 0) value = to;
  };
  shorten("--runs", o.min_runs, 10);
  shorten("--min-time", o.min_time_s, 0.03);
  shorten("--max-time", o.max_time_s, 0.15);
  shorten("--rel-error", o.rel_error, 0.03);
  shorten("--random-levels", o.random_levels, 6);
  shorten("--held-out", o.held_out, 6);
  shorten("--patience", o.patience_s, 5.0);
  shorten("--threads", o.threads, std::vector<int>{1, default_threads()});
  if (default_threads() == 1 && app.count("--threads") == 0) o.threads = {1};
  if (!flags.family.empty()) flags.no_units = true;
  o.energy_windows = 1;
}

int run(Flags& flags, const Session& session) {
  check_writable(flags.out);
  const Checkpoint checkpoint = Checkpoint::open(flags.supernet);
  const SearchSpace& space = checkpoint.info.space;
  const std::vector<SubnetConfig> configs = configs_of(flags.family, space);
  if (flags.no_units && configs.empty()) {
    throw Error(ErrorCode::bad_usage, "--no-units leaves nothing to measure", "name a family with --levels");
  }
  const Platform platform = platform_or_this_machine(flags.platform, flags.frequencies.root);
  if (!flags.cluster.empty())
    flags.options.cluster = static_cast<std::size_t>(platform.cluster_index(flags.cluster));
  flags.options.units = !flags.no_units;
  const HeldFrequencies frequencies(flags.frequencies, platform, flags.options.cluster, session.job);
  flags.options.move_frequencies = frequencies.moves();
  if (flags.opps > 0) {
    if (!frequencies.moves())
      throw Error(ErrorCode::bad_usage, "--opps chooses among frequencies that --dvfs control sets");
    flags.options.opps = spread_opps(platform.clusters[flags.options.cluster].opps.size(), flags.opps);
  }
  flags.options.loads = loads_of(flags, platform.clusters[flags.options.cluster]);
  flags.options.temperature = thermal_reader(flags.frequencies.root);
  std::optional<Lut> before;
  if (!flags.against.empty()) {
    before = Lut::load(flags.against);
    for (const auto& [point, speed] : before->speeds) flags.options.own_speeds[point] = speed.own_per_s;
  }
  const auto meter = meter_for(flags);
  flags.options.meter = meter.get();
  const auto executor = make_executor(flags.engine, space, checkpoint.tensors);

  ProcessAffinity affinity;
  place_on(platform, flags, affinity);

  const bool goes_on = flags.resume && fs::exists(flags.out);
  Lut lut = goes_on ? Lut::load(flags.out)
                    : start_lut(space, platform, std::string(executor->name()), device_name());
  const auto doubts = measuring_doubts();
  for (const auto& doubt : doubts) session.job.warn(doubt);
  const auto document = [&](const Lut& table) {
    Json json = doubtful_envelope("dsn.lut", flags.options.seed, doubts);
    json.update(table.to_json());
    return json;
  };
  const auto save = [&](const Lut& table) { write_file_atomic(flags.out, dump_json(document(table))); };

  std::vector<LevelSpec> levels;
  for (const auto& config : configs) levels.push_back({config, {}});  // the values of statistics cost nothing
  std::vector<PointReport> reports;
  try {
    reports = profile_network(*executor, space, platform, frequencies.control(), levels, flags.options, lut,
                              save, session.job);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::interrupted) throw;
    throw Error(ErrorCode::interrupted, fmt::format("interrupted; what was measured is in {}", flags.out),
                "continue with --resume");
  }
  Json result = document(lut);
  if (meter) result["energy_meter"] = energy_json(*meter, reports);
  std::string differences;
  if (before) {
    const std::vector<LutDifference> found = compare_luts(*before, lut, configs);
    result["against"] = to_json(found);
    differences = difference_text(found, flags.against);
  }
  write_file_atomic(flags.out, dump_json(result));
  const std::string table =
      flags.no_units ? levels_table(lut, space, configs) : checks_table(reports, space, configs);
  session.result(result, table + loads_table(lut, space, configs) + profile_summary(reports, lut) +
                             differences + fit_text(lut, platform.clusters[flags.options.cluster].name) +
                             frequencies.summary() + fmt::format("wrote {}\n", flags.out));
  return done_status();
}

// 1, 2, 4, ... up to all CPUs.
std::vector<int> doubling_threads() {
  std::vector<int> threads;
  const int all = default_threads();
  for (int n = 1; n < all; n *= 2) threads.push_back(n);
  threads.push_back(all);
  return threads;
}

void add_measuring(CLI::App& app, ProfileOptions& o) {
  const std::string group = "Measuring";
  app.add_option("-w,--warmup", o.warmup, "Inferences discarded at an entry's first visit")
      ->check(in_range(0, 1000))
      ->capture_default_str()
      ->group(group);
  app.add_option("-r,--runs", o.min_runs, "At least so many inferences per entry ...")
      ->check(in_range(3, 1000000))
      ->capture_default_str()
      ->group(group);
  add_duration(app, "--min-time", o.min_time_s, "... and at least this long ...")
      ->default_str(format_duration(o.min_time_s))
      ->group(group);
  add_fraction(app, "--rel-error", o.rel_error, "... until the median is known to this part ...")
      ->default_str(fmt::format("{}", o.rel_error))
      ->group(group);
  add_duration(app, "--max-time", o.max_time_s, "... or the entry took this long")
      ->default_str(format_duration(o.max_time_s))
      ->group(group);
  app.add_option("-b,--batch", o.batch, "Images per inference")
      ->check(in_range(1, 4096))
      ->capture_default_str()
      ->group(group);
  app.add_option("--random-levels", o.random_levels,
                 "Random sub-networks that the sums of blocks are fitted to, besides the extremes")
      ->check(in_range(0, 1000))
      ->capture_default_str()
      ->group(group);
  app.add_option("--held-out", o.held_out, "Random sub-networks that no fit sees, to check the predictions")
      ->check(in_range(0, 1000))
      ->capture_default_str()
      ->group(group);
  add_duration(app, "--patience", o.patience_s,
               "Wait so long, in all, for the machine to reach its own speed; what is measured while it is "
               "slower is measured again, or marked")
      ->default_str(format_duration(o.patience_s))
      ->group(group);
}

}  // namespace

Command add_profile(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  flags->options.threads = doubling_threads();
  flags->options.held_out = 20;
  flags->options.patience_s = 20;
  CLI::App& app =
      *root.add_subcommand("profile", "Measure a super-network on this machine into a look-up table");
  add_path(app, "--supernet", flags->supernet, "Checkpoint of dsn train")->required();
  add_path(app, "--levels", flags->family, "Family whose levels are measured end to end, too");
  add_path(app, "-o,--out", flags->out, "Look-up table (dsn.lut) to write; saved again as it grows")
      ->required();
  app.add_flag("--resume", flags->resume, "Keep what the file has and measure the rest");
  app.add_flag("--no-units", flags->no_units, "Only the levels, end to end");
  app.add_flag("--quick", flags->quick,
               "Under a minute for a few levels: shorter, 1 thread and all, with --levels only these");
  add_path(app, "--against", flags->against,
           "Earlier table of this machine: say how much differs, and wait for the speed it was measured at");
  app.add_option("--contention", flags->contention,
                 "Measure the levels also beside other work on these shares of the CPUs (0.5,1)")
      ->delimiter(',')
      ->type_name("SHARE,...")
      ->check(in_range(0.0, 8.0));
  app.add_option("--contention-kind", flags->load_kinds, "What that work is: compute, memory")
      ->delimiter(',')
      ->type_name("KIND,...")
      ->check(CLI::IsMember({"compute", "memory"}))
      ->default_str("compute,memory");
  add_path(app, "--platform", flags->platform,
           "Description of this machine; default: discovered (see dsn platform)");
  app.add_option("--cluster", flags->cluster, "Cluster that the threads run on; default: the first");
  app.add_option("--threads", flags->options.threads, "Thread counts")
      ->delimiter(',')
      ->type_name("N,...")
      ->check(in_range(1, 1024))
      ->default_str("1,2,4,... up to the CPUs");
  add_frequency_flags(app, flags->frequencies, "measure at each of the cluster's frequencies");
  app.add_option("--opps", flags->opps, "Measure at so many of them, evenly spread; default: all")
      ->check(in_range(2, 1024))
      ->group("Frequencies");
  app.add_option("--engine", flags->engine, "Executor to measure with")->capture_default_str();
  add_measuring(app, flags->options);
  app.add_option("--energy", flags->energy,
                 "Energy meter: auto, off, or one that dsn doctor names; without one it is modelled")
      ->type_name("METER")
      ->capture_default_str();
  app.add_flag("--require-energy", flags->require_energy, "Fail (exit 4) when energy cannot be measured");
  add_seed(app, flags->options.seed);
  add_common(app, common, "dsn profile --supernet fmnist.safetensors --threads 1,2 --out lut.json",
             "sudo dsn profile --supernet fmnist.safetensors --levels family.json --no-units --dvfs control "
             "--out levels.lut.json");
  suggest(app, "--engine", engine_names());
  return {&app, [flags, &app](const Session& session) {
            if (flags->quick) hurry(app, *flags);
            return run(*flags, session);
          }};
}

}  // namespace dsn::cli

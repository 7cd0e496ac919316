// SPDX-License-Identifier: Apache-2.0
// dsn search --supernet: accuracy on real images, latency on this machine.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "cli/flags.h"
#include "cli/labelled.h"
#include "cli/measuring.h"
#include "cli/search_evaluator.h"
#include "cli/table.h"
#include "dsn/core/file.h"
#include "dsn/profile/correction.h"
#include "dsn/profile/measure.h"
#include "dsn/search/search.h"
#include "dsn/supernet/checkpoint.h"
#include "dsn/supernet/evaluate.h"

namespace dsn::cli {
namespace {

void require_flags(const SearchFlags& flags) {
  const std::pair<const char*, const std::string*> required[] = {
      {"--supernet", &flags.supernet}, {"--data", &flags.data}, {"--lut", &flags.lut}, {"--out", &flags.out}};
  for (const auto& [name, value] : required) {
    if (value->empty())
      throw Error(ErrorCode::bad_usage, fmt::format("{} is required", name),
                  "or search with a published predictor: --space, --predictor and --lut");
  }
}

// "family.json" -> "family" + suffix, in the same folder.
fs::path beside(const fs::path& out, const std::string& suffix) {
  return out.parent_path() / ((out.extension() == ".json" ? out.stem() : out.filename()).string() + suffix);
}

std::unique_ptr<Dataset> test_split(const SearchFlags& flags, const SearchSpace& space, Job& job) {
  try {
    return open_labelled(flags.data, Split::test, flags.val_count, space);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    job.warn(fmt::format("no test images, the levels' accuracies stay those of the validation split: {}",
                         error.message()));
    return nullptr;
  }
}

// Final accuracies and statistics of the levels; the statistics go into `bn_path`.
void finish_levels(std::vector<Level>& levels, Evaluator& evaluator, std::unique_ptr<Dataset> test,
                   const fs::path& bn_path, Job& job) {
  std::vector<SubnetConfig> configs;
  for (const Level& level : levels) configs.push_back(level.config);
  job.begin("evaluate levels", 1);
  const auto results = evaluator.evaluate_on(test ? *test : evaluator.val(), configs, 0);
  std::vector<BnStats> statistics;
  std::map<std::string, TensorView> tensors;
  statistics.reserve(levels.size());
  for (std::size_t i = 0; i < levels.size(); ++i) {
    levels[i].bn_prefix = fmt::format("level{}", i);
    statistics.push_back(to_bn_stats(results[i].bn));
    append_bn_stats(statistics.back(), levels[i].bn_prefix, tensors);
    levels[i].accuracy = results[i].accuracy();
    levels[i].accuracy_on =
        fmt::format("{}, n={}", (test ? *test : evaluator.val()).name(), results[i].images());
  }
  write_safetensors(bn_path, tensors, {});
  job.end();
}

// The levels end to end on this machine, at every thread count that the LUT has.
Lut measure_levels(const SearchFlags& flags, const Checkpoint& checkpoint, const Platform& platform,
                   const Lut& lut, const OperatingPoint& point, const std::vector<Level>& levels, Job& job) {
  const SearchSpace& space = checkpoint.info.space;
  const auto executor = make_executor(flags.engine, space, checkpoint.tensors);
  ProfileOptions options;
  options.units = false;
  options.cluster = static_cast<std::size_t>(platform.cluster_index(point.cluster));
  options.threads.clear();
  for (const auto& p : lut.points()) {
    if (p.cluster != point.cluster || p.batch != 1) continue;
    if (std::count(options.threads.begin(), options.threads.end(), p.threads) == 0)
      options.threads.push_back(p.threads);
  }
  options.min_time_s = 0.5;  // few entries: each can have more samples than in a whole profile
  options.max_time_s = 3;
  options.seed = flags.options.seed;
  std::vector<LevelSpec> specs;
  for (const Level& level : levels) specs.push_back({level.config, {}});
  Lut measured = start_lut(space, platform, std::string(executor->name()), device_name());
  static_cast<void>(profile_network(*executor, space, platform, nullptr, specs, options, measured, {}, job));
  return measured;
}

// The entry at the reference point's cluster and threads, whatever the frequency is called now.
const LutEntry* measured_at(const Lut& measured, const SubnetConfig& config, const OperatingPoint& point) {
  for (const auto& p : measured.points()) {
    if (p.cluster == point.cluster && p.threads == point.threads && p.batch == point.batch)
      return measured.level_entry(config, p);
  }
  return nullptr;
}

std::string table_of(const SearchResult& result, const Family& family, const SearchSpace& space,
                     const std::optional<Lut>& measured) {
  const Scale scale = duration_scale(family.levels.back().predicted_latency_s);
  Table table;
  table.column("level");
  table.column("MMACs");
  table.column("validation %");
  table.column("accuracy %");
  table.column("predicted " + scale.unit);
  if (measured) {
    table.column("measured " + scale.unit);
    table.column("error %");
  }
  table.column("sub-network", Table::Align::left);
  for (const Level& level : family.levels) {
    std::vector<std::string> cells{
        std::to_string(level.id), fmt::format("{:.2f}", static_cast<double>(level.macs) / 1e6),
        level.val_accuracy ? fmt::format("{:.2f}", *level.val_accuracy * 100) : "-",
        fmt::format("{:.2f}", level.accuracy * 100), format_scaled(level.predicted_latency_s, scale)};
    if (measured) {
      const LutEntry* entry = measured_at(*measured, space.canonical(level.config), result.point);
      cells.push_back(entry != nullptr ? format_scaled(entry->latency_s, scale) : "-");
      cells.push_back(entry != nullptr
                          ? fmt::format("{:+.1f}", (level.predicted_latency_s / entry->latency_s - 1) * 100)
                          : "-");
    }
    cells.push_back(space.describe(level.config));
    table.row(std::move(cells));
  }
  return table.str();
}

void warn_of_order(const Family& family, const Lut& measured, const SearchSpace& space,
                   const OperatingPoint& point, Job& job) {
  for (std::size_t i = 1; i < family.levels.size(); ++i) {
    const LutEntry* faster = measured_at(measured, space.canonical(family.levels[i - 1].config), point);
    const LutEntry* slower = measured_at(measured, space.canonical(family.levels[i].config), point);
    if (faster == nullptr || slower == nullptr || faster->latency_s < slower->latency_s) continue;
    job.warn(fmt::format("level {} measures no faster than level {}: it will hardly be chosen", i - 1, i));
  }
}

// A machine that shares its cores, or was warm, is not as fast now as when the table was measured.
void warn_of_drift(const Family& family, const Lut& measured, const SearchSpace& space,
                   const OperatingPoint& point, Job& job) {
  std::vector<double> predicted_s, measured_s;
  for (const Level& level : family.levels) {
    const LutEntry* entry = measured_at(measured, space.canonical(level.config), point);
    if (entry == nullptr) continue;
    predicted_s.push_back(level.predicted_latency_s);
    measured_s.push_back(entry->latency_s);
  }
  if (const auto drift = common_drift(predicted_s, measured_s)) {
    job.warn(fmt::format(
        "every level runs {:.0f} % {} than predicted: the machine is not as fast as when the look-up "
        "table was measured; their order holds, for latencies run dsn profile again",
        std::abs(*drift - 1) * 100, *drift > 1 ? "slower" : "faster"));
  }
}

Json settings_of(const SearchFlags& flags, const OperatingPoint& point) {
  const SearchOptions& o = flags.options;
  Json settings = {{"data", flags.data},
                   {"point", describe(point)},
                   {"calib_images", flags.calib_images},
                   {"val_images", flags.val_images},
                   {"val_count", flags.val_count},
                   {"levels", o.levels},
                   {"samples", o.samples},
                   {"rounds", o.rounds},
                   {"per_round", o.per_round},
                   {"finalists", o.finalists},
                   {"guide", flags.guide},
                   {"all_opps", flags.all_opps}};
  if (o.max_latency_s) settings["max_latency_s"] = *o.max_latency_s;
  if (o.min_accuracy) settings["min_accuracy"] = *o.min_accuracy;
  return settings;
}

}  // namespace

int run_evaluated_search(SearchFlags& flags, const Session& session) {
  require_flags(flags);
  const fs::path out = flags.out, bn_path = beside(out, ".bn.safetensors"),
                 lut_path = beside(out, ".lut.json");
  for (const fs::path& path : {out, bn_path, lut_path}) check_writable(path);
  const Checkpoint checkpoint = Checkpoint::open(flags.supernet);
  const SearchSpace& space = checkpoint.info.space;
  const Lut lut = Lut::load(flags.lut);
  lut.require_space(space);
  const OperatingPoint point = choose_point(flags.point, lut, space, flags.lut);
  std::optional<Platform> platform;
  if (!flags.no_measure) {
    platform = platform_or_this_machine(flags.platform);
    if (platform->sha256 != lut.platform_sha256) {
      throw Error(ErrorCode::mismatch,
                  fmt::format("{} was measured on another platform ({}): the levels cannot be measured here",
                              flags.lut, lut.device),
                  "use --no-measure here and dsn profile --levels on that device");
    }
  }

  EvaluationJournal journal = open_journal(out, flags, checkpoint.weights_sha256);
  Supernet net(space, checkpoint.tensors);
  Evaluator evaluator(net, flags, checkpoint.info, journal, session.job);
  flags.options.accuracy_on = fmt::format("{}, n={}", evaluator.val().name(), evaluator.val().size());
  const auto evaluate_configs = [&](const std::vector<SubnetConfig>& configs, bool final) {
    return evaluator(space, configs, final);
  };
  flags.options.guide = flags.guide == "mlp" ? Guide::mlp : Guide::ridge;
  if (flags.all_opps) flags.options.worst_over = same_mapping(lut, point);
  SearchResult result;
  try {
    result = run_search(space, lut, point, evaluate_configs, flags.options, session.job);
    finish_levels(result.levels, evaluator, test_split(flags, space, session.job), bn_path, session.job);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::interrupted || journal.size() == 0) throw;
    throw interrupted_with(journal);
  }
  for (const auto& warning : result.warnings) session.job.warn(warning);

  Family family;
  family.space_document = space.document();
  family.space_sha256 = space.sha256();
  family.weights_sha256 = checkpoint.weights_sha256;
  family.bn_file = bn_path.filename().string();
  if (!flags.no_measure) family.lut_file = lut_path.filename().string();
  family.levels = result.levels;
  std::optional<Lut> measured;
  if (!flags.no_measure) {
    const auto doubts = measuring_doubts();
    for (const auto& doubt : doubts) session.job.warn(doubt);
    measured = measure_levels(flags, checkpoint, *platform, lut, point, family.levels, session.job);
    warn_of_order(family, *measured, space, point, session.job);
    warn_of_drift(family, *measured, space, point, session.job);
    Json document = doubtful_envelope("dsn.lut", flags.options.seed, doubts);
    document.update(measured->to_json());
    write_file_atomic(lut_path, dump_json(document));
  }
  Json document = pure_envelope("dsn.family", flags.options.seed,
                                {{"supernet", checkpoint.weights_sha256}, {"lut", sha256_file(flags.lut)}},
                                settings_of(flags, point));
  for (const auto& warning : result.warnings) document["warnings"].push_back(warning);
  document.update(family.to_json());
  document.update(to_json(result, space));
  write_file_atomic(out, dump_json(document));
  journal.remove();
  session.result(document, fmt::format("{}{} evaluations; latencies at {}; accuracy on {}\nwrote {}\n",
                                       table_of(result, family, space, measured),
                                       result.evaluations + result.final_evaluations, describe(point),
                                       family.levels.front().accuracy_on, flags.out));
  return done_status();
}

}  // namespace dsn::cli

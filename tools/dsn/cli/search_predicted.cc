// SPDX-License-Identifier: Apache-2.0
// dsn search --predictor: accuracy as a published network predicts it.
#include <fmt/format.h>

#include "cli/search_modes.h"
#include "cli/table.h"
#include "dsn/core/error.h"
#include "dsn/core/file.h"
#include "dsn/core/units.h"
#include "dsn/search/mlp_predictor.h"
#include "dsn/search/point_series.h"

namespace dsn::cli {
namespace {

ThirdObjective third_objective(const std::string& name) {
  if (name == "macs") return ThirdObjective::macs;
  if (name == "params") return ThirdObjective::params;
  if (name == "memory") return ThirdObjective::memory;
  if (name == "energy") return ThirdObjective::energy;
  return ThirdObjective::none;
}

Calibration calibrate(const std::vector<std::string>& files, const SearchSpace& space,
                      const AccuracyPredictor& predictor) {
  std::vector<double> predicted, measured;
  for (const std::string& file : files) {
    for (const PointSeries& series : load_series(file)) {
      for (const SeriesPoint& point : series.points) {
        if (point.config.is_null()) continue;
        predicted.push_back(predictor.predict(space.from_json(JsonView(point.config, file))));
        measured.push_back(point.accuracy);
      }
    }
  }
  return Calibration::fit(predicted, measured);
}

std::string table_of(const PredictedSearch& result, const SearchSpace& space) {
  const Scale scale = duration_scale(result.front.back().latency_s);
  Table table;
  table.column("level");
  table.column("predicted " + scale.unit);
  table.column("predicted %");
  if (result.calibration) table.column("calibrated %");
  table.column("MMACs");
  table.column("M params");
  table.column("peak kB");
  const bool energy = result.front.front().energy_j.has_value();
  if (energy) table.column(fmt::format("mJ ({})", to_string(result.energy_origin)));
  table.column("sub-network", Table::Align::left);
  for (std::size_t n = 0; n < result.levels.size(); ++n) {
    const PredictedPoint& point = result.front[result.levels[n]];
    std::vector<std::string> cells{std::to_string(n), format_scaled(point.latency_s, scale),
                                   fmt::format("{:.2f}", point.predicted * 100)};
    if (result.calibration)
      cells.push_back(point.calibrated ? fmt::format("{:.2f}", *point.calibrated * 100) : "-");
    cells.push_back(fmt::format("{:.1f}", static_cast<double>(point.macs) / 1e6));
    cells.push_back(fmt::format("{:.2f}", static_cast<double>(point.params) / 1e6));
    cells.push_back(fmt::format("{:.0f}", static_cast<double>(point.memory_bytes) / 1e3));
    if (energy) cells.push_back(fmt::format("{:.2f}", *point.energy_j * 1e3));
    cells.push_back(space.describe(point.config));
    table.row(std::move(cells));
  }
  return table.str();
}

std::string text_of(const PredictedSearch& result, const SearchSpace& space, const SearchFlags& flags) {
  std::string text = table_of(result, space);
  text += fmt::format(
      "{} looked at; front of {} from {} to {}, {} to {} predicted; latencies at {}\n", result.evaluations,
      result.front.size(), format_duration(result.front.front().latency_s),
      format_duration(result.front.back().latency_s), format_percent(result.front.front().predicted),
      format_percent(result.front.back().predicted), describe(result.point));
  if (const auto& quality = result.calibration) {
    text += fmt::format(
        "calibrated on {} measured: predictions were {:+.2f} points off in the mean (size {:.2f}); "
        "calibrated and "
        "held out {:.2f}; Kendall tau {:.2f}\n",
        quality->count, quality->bias * 100, quality->mae * 100, quality->held_out_mae * 100,
        quality->kendall_tau);
  } else {
    text += "not calibrated: a predictor may be points off; give --measured\n";
  }
  if (!flags.out.empty()) text += fmt::format("wrote {}\n", flags.out);
  return text;
}

Json settings_of(const SearchFlags& flags, const PredictedSearch& result, const SearchSpace& space) {
  Json settings = {{"space", space.name()},
                   {"width_mult", space.width_mult()},
                   {"point", describe(result.point)},
                   {"levels", flags.options.levels},
                   {"third_objective", flags.third},
                   {"all_opps", flags.all_opps},
                   {"population", flags.predicted.population},
                   {"evaluations", flags.predicted.evaluations}};
  if (flags.options.max_latency_s) settings["max_latency_s"] = *flags.options.max_latency_s;
  if (flags.options.min_accuracy) settings["min_accuracy"] = *flags.options.min_accuracy;
  return settings;
}

}  // namespace

int run_predicted_search(SearchFlags& flags, const Session& session) {
  for (const auto& [name, value] : {std::pair("--space", &flags.space), std::pair("--lut", &flags.lut)}) {
    if (value->empty())
      throw Error(ErrorCode::bad_usage, fmt::format("{} is required with --predictor", name));
  }
  if (!flags.out.empty()) check_writable(flags.out);
  const SearchSpace space = SearchSpace::load(flags.space, flags.width_mult);
  const Lut lut = Lut::load(flags.lut);
  lut.require_space(space);
  const OperatingPoint point = choose_point(flags.point, lut, space, flags.lut);
  const OpenedPredictor opened = open_predictor(flags.predictor, space);
  const AccuracyPredictor& predictor = *opened.predictor;
  std::optional<Calibration> calibration;
  if (!flags.measured.empty()) calibration = calibrate(flags.measured, space, predictor);

  PredictedSearchOptions options = flags.predicted;
  options.levels = flags.options.levels;
  options.max_latency_s = flags.options.max_latency_s;
  options.min_accuracy = flags.options.min_accuracy;
  options.seed = flags.options.seed;
  options.threads = flags.threads;
  options.third = third_objective(flags.third);
  if (flags.all_opps) options.worst_over = same_mapping(lut, point);
  const PredictedSearch result =
      search_predicted(space, lut, point, predictor, opened.resolutions,
                       calibration ? &*calibration : nullptr, options, session.job);

  std::vector<InputHash> inputs{{"lut", sha256_file(flags.lut)}, {"predictor", sha256_file(flags.predictor)}};
  for (const std::string& file : flags.measured)
    inputs.push_back({"measured", sha256_file(file.substr(0, file.rfind('#')))});
  Json document = pure_envelope("dsn.family", options.seed, inputs, settings_of(flags, result, space));
  for (const auto& warning : result.warnings) document["warnings"].push_back(warning);
  const std::string accuracy_on = fmt::format(
      "predicted by {}{}", fs::path(flags.predictor).filename().string(),
      calibration
          ? fmt::format(", calibrated where {} measured sub-networks reach", calibration->quality().count)
          : ", not calibrated");
  document.update(to_family(result, space, accuracy_on).to_json());
  document.update(to_json(result, space));
  if (!flags.out.empty()) write_file_atomic(flags.out, dump_json(document));
  if (!flags.plot.empty()) plot_search(document, flags.plot);
  session.result(document, text_of(result, space, flags));
  return done_status();
}

}  // namespace dsn::cli

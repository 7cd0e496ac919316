// SPDX-License-Identifier: Apache-2.0
// dsn search: the levels of a family, by accuracy and latency.
#include <fmt/format.h>

#include <charconv>
#include <memory>

#include "cli/flags.h"
#include "cli/search_modes.h"
#include "commands.h"
#include "dsn/core/error.h"
#include "dsn/search/front_plot.h"

namespace dsn::cli {
namespace {

void add_effort(CLI::App& app, SearchFlags& flags) {
  SearchOptions& o = flags.options;
  const std::string group = "Effort with a super-network";
  app.add_option("--calib-images", flags.calib_images, "Training images that batch norm is calibrated on")
      ->check(in_range(1, 1 << 30))
      ->capture_default_str()
      ->group(group);
  app.add_option("--val-images", flags.val_images,
                 "Validation images that guide the search; finalists see all")
      ->check(in_range(1, 1 << 30))
      ->capture_default_str()
      ->group(group);
  app.add_option("--val-count", flags.val_count, "Training images kept back to validate on, as in training")
      ->capture_default_str()
      ->group(group);
  app.add_option("--samples", o.samples, "Sub-networks evaluated before the first prediction")
      ->capture_default_str()
      ->group(group);
  app.add_option("--rounds", o.rounds, "Rounds of predicting, evolving and evaluating")
      ->capture_default_str()
      ->group(group);
  app.add_option("--per-round", o.per_round, "Sub-networks evaluated in each round")
      ->capture_default_str()
      ->group(group);
  app.add_option("--finalists", o.finalists, "Sub-networks evaluated on all validation images")
      ->capture_default_str()
      ->group(group);
}

void add_fitting(CLI::App& app, SearchFlags& flags) {
  const std::string group = "Fitting a predictor";
  add_path(app, "--fit-predictor", flags.fit_predictor,
           "Evaluate sub-networks of --supernet on --data, train a predictor on them, write it (safetensors)")
      ->group(group);
  app.add_option("--fit-samples", flags.fit_samples, "Sub-networks to evaluate for it")
      ->check(in_range(10, 1 << 20))
      ->capture_default_str()
      ->group(group);
  app.add_option("--guide", flags.guide,
                 "What the search with a super-network predicts with between its evaluations")
      ->check(CLI::IsMember({"ridge", "mlp"}))
      ->capture_default_str()
      ->group(group);
}

void add_predictor(CLI::App& app, SearchFlags& flags) {
  const std::string group = "With a predictor";
  add_path(app, "--predictor", flags.predictor,
           "Accuracy from this network instead of images: one of --fit-predictor, or Once-for-All's "
           "(safetensors)")
      ->group(group);
  app.add_option("--space", flags.space, "A shipped search space or a dsn.space file")
      ->type_name("NAME|FILE")
      ->group(group);
  app.add_option("--width-mult", flags.width_mult, "Width multiplier; default: the space's own")
      ->check(in_range(0.01, 16.0))
      ->group(group);
  app.add_option("--measured", flags.measured,
                 "Measured sub-networks to calibrate the predictor on: dsn.family or published levels; all "
                 "series, or FILE#NAME")
      ->type_name("FILE[#NAME]")
      ->group(group);
  app.add_option("--third-objective", flags.third, "Also keep this low")
      ->check(CLI::IsMember({"none", "macs", "params", "memory", "energy"}))
      ->capture_default_str()
      ->group(group);
  app.add_option("--evaluations", flags.predicted.evaluations, "Sub-networks to look at")
      ->check(in_range(100, 1 << 28))
      ->capture_default_str()
      ->group(group);
  app.add_option("--population", flags.predicted.population, "Sub-networks that a generation keeps")
      ->check(in_range(2, 100000))
      ->capture_default_str()
      ->group(group);
}

int run(SearchFlags& flags, const Session& session) {
  if (!flags.plot.empty()) check_plot_path(flags.plot);
  if (!flags.fit_predictor.empty()) {
    if (!flags.predictor.empty() || !flags.space.empty())
      throw Error(ErrorCode::bad_usage, "--fit-predictor: found with --predictor or --space",
                  "fit one first, then search with it");
    return run_fit_predictor(flags, session);
  }
  if (flags.predictor.empty()) {
    if (!flags.space.empty())
      throw Error(ErrorCode::bad_usage, "--space: found without --predictor",
                  "a super-network has its space with it; with --space give --predictor, too");
    const int status = run_evaluated_search(flags, session);
    if (!flags.plot.empty()) plot_search(read_json(flags.out), flags.plot);
    return status;
  }
  if (!flags.supernet.empty() || !flags.data.empty())
    throw Error(ErrorCode::bad_usage,
                "--predictor: found with --supernet or --data, expected one or the other",
                "leave --predictor out to evaluate the super-network");
  return run_predicted_search(flags, session);
}

}  // namespace

// The LUT's point that "cpu:2" names; by default the one at which the largest sub-network is fastest.
OperatingPoint choose_point(const std::string& text, const Lut& lut, const SearchSpace& space,
                            const std::string& lut_file) {
  const auto colon = text.rfind(':');
  int threads = 0;
  if (!text.empty()) {
    const char* end = text.data() + text.size();
    const bool number = colon != std::string::npos &&
                        std::from_chars(text.data() + colon + 1, end, threads).ptr == end && threads > 0;
    if (!number)
      throw Error(ErrorCode::bad_usage,
                  fmt::format("--point: found '{}', expected CLUSTER:THREADS, like cpu:2", text));
  }
  // Published tables may lack the largest resolutions.
  const auto largest_latency = [&](const OperatingPoint& at) -> std::optional<double> {
    for (auto r = space.resolutions().rbegin(); r != space.resolutions().rend(); ++r) {
      SubnetConfig config = space.largest();
      config.r = *r;
      try {
        return lut.predict_latency(make_network(space, config), at);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found) throw;
      }
    }
    return std::nullopt;
  };
  std::optional<OperatingPoint> best;
  double best_s = 0;
  std::string known;
  for (const auto& point : lut.points()) {
    if (point.batch != 1) continue;
    known += (known.empty() ? "" : "; ") + describe(point);
    if (!text.empty() && (point.cluster != text.substr(0, colon) || point.threads != threads)) continue;
    const std::optional<double> latency_s = largest_latency(point);
    if (latency_s && (!best || *latency_s < best_s)) {
      best = point;
      best_s = *latency_s;
    }
  }
  if (!best) {
    throw Error(ErrorCode::not_found,
                fmt::format("{} has no point {}at batch 1", lut_file, text.empty() ? "" : text + " "),
                known.empty() ? "measure with dsn profile" : "it has: " + known);
  }
  return *best;
}

std::vector<OperatingPoint> same_mapping(const Lut& lut, const OperatingPoint& point) {
  std::vector<OperatingPoint> others;
  for (const OperatingPoint& other : lut.points()) {
    if (other.cluster == point.cluster && other.threads == point.threads && other.batch == point.batch &&
        other != point)
      others.push_back(other);
  }
  return others;
}

Command add_search(CLI::App& root, CommonFlags& common) {
  auto flags = std::make_shared<SearchFlags>();
  flags->threads = default_threads();
  CLI::App& app =
      *root.add_subcommand("search", "Choose the sub-networks of a family by accuracy and latency");
  add_path(app, "--supernet", flags->supernet, "Checkpoint of dsn train: its sub-networks are evaluated");
  app.add_option("--data", flags->data,
                 "Images it was trained on: fashion-mnist[:DIR], idx:DIR, cifar10:DIR, folder:DIR")
      ->type_name("SPEC");
  add_path(app, "--lut", flags->lut, "Look-up table of dsn profile or dsn import lut");
  add_path(app, "-o,--out", flags->out,
           "Family (dsn.family) to write, with its .bn.safetensors and .lut.json beside it");
  add_path(app, "--export-plot", flags->plot,
           "Picture of front and levels to write: .svg, or .html with numbers under the pointer");
  app.add_option("--levels", flags->options.levels, "Levels to choose")
      ->check(in_range(1, 64))
      ->capture_default_str();
  app.add_option("--point", flags->point, "Point of the table to search at; default: the fastest")
      ->type_name("CLUSTER:THREADS");
  app.add_flag("--all-opps", flags->all_opps,
               "Latency is the worst over the table's frequencies of that point; levels cover them all");
  add_duration(app, "--max-latency", flags->options.max_latency_s,
               "Only sub-networks that are predicted to be this fast");
  add_fraction(app, "--min-accuracy", flags->options.min_accuracy,
               "Only sub-networks that are this accurate on validation images, or are predicted to be");
  app.add_flag("--no-measure", flags->no_measure, "Do not measure the chosen levels on this machine");
  add_path(app, "--platform", flags->platform,
           "Description of this machine; default: discovered (see dsn platform)");
  app.add_option("--engine", flags->engine, "Executor to measure with")->capture_default_str();
  app.add_flag("--resume", flags->resume, "Continue an interrupted search");
  add_effort(app, *flags);
  add_fitting(app, *flags);
  add_predictor(app, *flags);
  add_threads(app, flags->threads);
  add_seed(app, flags->options.seed);
  add_common(app, common,
             "dsn search --supernet fmnist.safetensors --data fashion-mnist --lut lut.json --out family.json",
             "dsn search --space ofa-mbv3 --width-mult 1.2 --predictor acc_predictor.safetensors --lut "
             "xavier-gpu.lut.json --max-latency 27ms --json");
  suggest(app, "--data", data_kinds());
  suggest(app, "--engine", engine_names());
  suggest(app, "--space", SearchSpace::shipped());
  return {&app, [flags](const Session& session) { return run(*flags, session); }};
}

}  // namespace dsn::cli

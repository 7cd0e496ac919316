// SPDX-License-Identifier: Apache-2.0
// dsn search --fit-predictor: sub-networks of a super-network evaluated, and a predictor trained on them.
#include <fmt/format.h>

#include "cli/flags.h"
#include "cli/search_evaluator.h"
#include "dsn/core/file.h"
#include "dsn/core/units.h"
#include "dsn/search/fit_predictor.h"

namespace dsn::cli {
namespace {

// What samples are spread over: the table's latency, without one MACs.
LatencyFn cost_of(const SearchSpace& space, const std::optional<Lut>& lut, const OperatingPoint& point) {
  if (!lut) {
    return [&space](const SubnetConfig& config) {
      return static_cast<double>(make_network(space, config).macs());
    };
  }
  return [&space, &lut, point](const SubnetConfig& config) {
    return lut->predict_latency(make_network(space, config), point);
  };
}

Json to_json(const PredictorQuality& quality) {
  return {{"count", quality.count},
          {"folds", quality.folds},
          {"held_out_mae", quality.mae},
          {"held_out_kendall_tau", quality.kendall_tau}};
}

std::string words(const PredictorQuality& quality) {
  return fmt::format("mean error {:.2f} points, Kendall tau {:.2f}", quality.mae * 100, quality.kendall_tau);
}

}  // namespace

int run_fit_predictor(SearchFlags& flags, const Session& session) {
  for (const auto& [name, value] :
       {std::pair("--supernet", &flags.supernet), std::pair("--data", &flags.data)}) {
    if (value->empty())
      throw Error(ErrorCode::bad_usage, fmt::format("{} is required with --fit-predictor", name));
  }
  const fs::path out = flags.fit_predictor;
  check_writable(out);
  const Checkpoint checkpoint = Checkpoint::open(flags.supernet);
  const SearchSpace& space = checkpoint.info.space;
  std::optional<Lut> lut;
  OperatingPoint point;
  if (!flags.lut.empty()) {
    lut = Lut::load(flags.lut);
    lut->require_space(space);
    point = choose_point(flags.point, *lut, space, flags.lut);
  }
  EvaluationJournal journal = open_journal(out, flags, checkpoint.weights_sha256);
  Supernet net(space, checkpoint.tensors);
  Evaluator evaluator(net, flags, checkpoint.info, journal, session.job);
  const auto evaluate_configs = [&](const std::vector<SubnetConfig>& configs, bool /*final*/) {
    return evaluator(space, configs, false);
  };
  std::optional<FittedPredictor> fitted;
  try {
    fitted = fit_predictor(space, cost_of(space, lut, point), evaluate_configs, flags.fit_samples,
                           flags.options.seed, session.job);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::interrupted || journal.size() == 0) throw;
    throw interrupted_with(journal);
  }
  const std::string trained_on =
      fmt::format("{} sub-networks on {}, n={}", fitted->configs.size(), evaluator.val().name(),
                  std::min(flags.val_images, evaluator.val().size()));
  fitted->predictor.save(out, {{"trained_on", trained_on},
                               {"weights_sha256", checkpoint.weights_sha256},
                               {"held_out_mae", fmt::format("{:.6f}", fitted->quality.mae)},
                               {"held_out_kendall_tau", fmt::format("{:.4f}", fitted->quality.kendall_tau)}});
  journal.remove();
  Json samples = Json::array();
  for (std::size_t i = 0; i < fitted->configs.size(); ++i) {
    samples.push_back({{"config", space.to_json(fitted->configs[i])},
                       {"accuracy", fitted->accuracy[i]},
                       {"predicted", fitted->predictor.predict(fitted->configs[i])}});
  }
  const Json document = {{"predictor", out.string()},
                         {"trained_on", trained_on},
                         {"quality", to_json(fitted->quality)},
                         {"ridge_quality", to_json(fitted->ridge)},
                         {"samples", std::move(samples)}};
  session.result(document,
                 fmt::format("trained on {}\nheld out ({} parts): {}\nridge regression, held out alike: {}\n"
                             "wrote {}; search with --predictor {} --space {}\n",
                             trained_on, fitted->quality.folds, words(fitted->quality), words(fitted->ridge),
                             out.string(), out.string(), space.name()));
  return done_status();
}

}  // namespace dsn::cli

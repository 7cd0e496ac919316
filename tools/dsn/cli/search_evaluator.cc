// SPDX-License-Identifier: Apache-2.0
#include "cli/search_evaluator.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/labelled.h"
#include "dsn/core/file.h"

namespace dsn::cli {
namespace {

// Forwards only the wish to stop: progress is counted by the caller.
class StopOnly : public Job {
 public:
  explicit StopOnly(const Job& job) : job_(job) {}
  [[nodiscard]] bool stop_requested() const noexcept override { return job_.stop_requested(); }

 private:
  const Job& job_;
};

}  // namespace

Evaluator::Evaluator(Supernet& net, const SearchFlags& flags, const CheckpointInfo& info,
                     EvaluationJournal& journal, Job& job)
    : net_(net),
      how_(info.preprocessing),
      journal_(journal),
      job_(job),
      train_(open_labelled(flags.data, Split::train, flags.val_count, info.space)),
      val_(open_labelled(flags.data, Split::val, flags.val_count, info.space)),
      threads_(flags.threads),
      val_images_(flags.val_images) {
  options_.calibration_images = flags.calib_images;
  options_.threads = flags.threads;
}

std::vector<double> Evaluator::operator()(const SearchSpace& space, const std::vector<SubnetConfig>& configs,
                                          bool final) {
  std::vector<double> accuracies(configs.size());
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < configs.size(); ++i) {
    if (const auto known = journal_.find(space.to_json(configs[i]), final)) {
      accuracies[i] = *known;
    } else {
      open.push_back(i);
    }
  }
  job_.begin(final ? "evaluate finalists" : "evaluate", static_cast<double>(configs.size()));
  // A few at a time, so that an interruption costs no more than these.
  const std::size_t step = static_cast<std::size_t>(threads_) * 2;
  for (std::size_t first = 0; first < open.size(); first += step) {
    const std::size_t count = std::min(step, open.size() - first);
    std::vector<SubnetConfig> part;
    for (std::size_t i = first; i < first + count; ++i) part.push_back(configs[open[i]]);
    const auto results = evaluate_on(*val_, part, final ? 0 : val_images_);
    for (std::size_t i = 0; i < count; ++i) {
      accuracies[open[first + i]] = results[i].accuracy();
      journal_.add(space.to_json(part[i]), final, results[i].accuracy());
    }
    journal_.save();
    job_.advance(static_cast<double>(configs.size() - open.size() + first + count));
  }
  job_.end();
  return accuracies;
}

std::vector<Evaluation> Evaluator::evaluate_on(const Dataset& data, const std::vector<SubnetConfig>& configs,
                                               std::size_t images) {
  EvaluateOptions options = options_;
  options.images = images;
  StopOnly stop(job_);
  return evaluate(net_, configs, *train_, data, how_, options, stop);
}

EvaluationJournal open_journal(const fs::path& out, const SearchFlags& flags,
                               const std::string& weights_sha256) {
  const std::string identity = sha256_hex(fmt::format("{} {} {} {} {}", weights_sha256, flags.data,
                                                      flags.calib_images, flags.val_images, flags.val_count));
  return {out.string() + ".state", identity, flags.resume};
}

Error interrupted_with(const EvaluationJournal& journal) {
  return {ErrorCode::interrupted,
          fmt::format("interrupted; {} evaluations are kept in {}", journal.size(), journal.path().string()),
          "continue with --resume"};
}

}  // namespace dsn::cli

// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "dsn/core/error.h"
#include "dsn/supernet/batches.h"
#include "dsn/supernet/crew.h"
#include "dsn/supernet/own_statistics.h"
#include "dsn/supernet/pass_count.h"

namespace dsn {
namespace {

// Counts one batch's predictions into `result`.
void count(const torch::Tensor& logits, const torch::Tensor& labels, Evaluation& result) {
  const torch::Tensor predicted = logits.argmax(1);
  const auto* p = predicted.data_ptr<std::int64_t>();
  const auto* l = labels.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < labels.size(0); ++i) result.confusion.add(l[i], p[i]);
  const torch::Tensor best = std::get<1>(logits.topk(std::min<std::int64_t>(5, logits.size(1)), 1));
  result.top5 += best.eq(labels.unsqueeze(1)).any(1).sum().item<std::int64_t>();
}

class Evaluator {
 public:
  Evaluator(Supernet& net, const std::vector<EvaluateTask>& tasks, const Dataset* calibration,
            const Dataset& data, const Preprocessing& how, const EvaluateOptions& options, Job& job)
      : net_(net),
        tasks_(tasks),
        calibration_(calibration),
        data_(data),
        how_(how),
        options_(options),
        job_(job),
        images_(options.images == 0 ? data.size() : std::min(options.images, data.size())),
        batches_((images_ + options.batch - 1) / options.batch),
        crew_(std::min<int>(options.threads, static_cast<int>(std::max(batches_, tasks.size())))) {
    if (images_ == 0) throw Error(ErrorCode::bad_input, fmt::format("{} has no images", data.name()));
    for (const EvaluateTask& task : tasks) {
      Evaluation& result = results_.emplace_back();
      result.confusion = ConfusionMatrix(net.space().classes());
      if (task.source == BnSource::given) result.bn = task.bn;
    }
  }

  std::vector<Evaluation> run() {
    // One resolution after another, so that only one set of calibration images is in memory.
    std::map<int, std::vector<std::size_t>> by_resolution;
    for (std::size_t i = 0; i < tasks_.size(); ++i) by_resolution[tasks_[i].config.r].push_back(i);
    for (const auto& [r, indices] : by_resolution) {
      calibrate(r, indices);
      predict(r, indices);
    }
    return std::move(results_);
  }

 private:
  void calibrate(int r, const std::vector<std::size_t>& indices) {
    std::vector<std::size_t> open;
    for (const std::size_t i : indices) {
      if (tasks_[i].source == BnSource::calibrated) open.push_back(i);
    }
    if (open.empty()) return;
    if (calibration_ == nullptr) throw Error(ErrorCode::bad_usage, "calibration needs training images");
    auto inputs =
        calibration_batches(*calibration_, how_, r, options_.calibration_images, options_.calibration_batch);
    for (torch::Tensor& input : inputs) input = input.to(net_.device());
    share_out(open.size(), [&](std::size_t n) {
      results_[open[n]].bn = net_.calibrate(inputs, tasks_[open[n]].config);
      advance(1);
    });
  }

  // Every batch is made once, and computed on one thread whatever the number of threads.
  void predict(int r, const std::vector<std::size_t>& indices) {
    share_out(batches_, [&](std::size_t n) {
      const std::size_t first = n * options_.batch;
      const Batch batch = make_batch(data_, how_, r, first, std::min(options_.batch, images_ - first));
      const torch::Tensor images = batch.images.to(net_.device());
      for (const std::size_t i : indices) {
        job_.check_stop();
        const torch::Tensor logits = forward(i, images, n == 0);
        Evaluation part{ConfusionMatrix(net_.space().classes()), 0, {}};
        count(logits, batch.labels, part);
        const std::lock_guard lock(mutex_);
        results_[i].confusion += part.confusion;
        results_[i].top5 += part.top5;
      }
      advance(static_cast<double>(indices.size()));
    });
  }

  torch::Tensor forward(std::size_t i, const torch::Tensor& images, bool check) {
    const SubnetConfig& config = tasks_[i].config;
    const BnTensorMap* bn = tasks_[i].source == BnSource::shared ? nullptr : &results_[i].bn;
    torch::Tensor logits;
    if (check) {
      const PassCounter counter(net_);
      logits = net_.forward(images, config, BnMode::stored, bn);
      const std::string name = net_.space().describe(config);
      require_count(counter.count(), make_network(net_.space(), config), name);
      if (bn != nullptr) require_all_used(*bn, counter.count().norms, name);
    } else {
      logits = net_.forward(images, config, BnMode::stored, bn);
    }
    logits = logits.to(torch::kCPU).contiguous();
    if (!torch::isfinite(logits).all().item<bool>()) {
      throw Error(ErrorCode::failed,
                  fmt::format("{}: logits that are not finite", net_.space().describe(config)),
                  "the weights or the batch-norm statistics are damaged");
    }
    return logits;
  }

  // Calls work(0..count - 1), each once, on the crew.
  template <typename Work>
  void share_out(std::size_t count, const Work& work) {
    std::atomic<std::size_t> next{0};
    crew_.run([&](int) {
      torch::NoGradGuard no_grad;
      for (std::size_t n = next++; n < count; n = next++) {
        job_.check_stop();
        work(n);
      }
    });
  }

  // A task is done after its batches and, where there is one, its calibration, which counts like a batch.
  void advance(double steps) {
    const std::lock_guard lock(mutex_);
    done_ += steps / static_cast<double>(batches_ + 1);
    job_.advance(std::min(done_, static_cast<double>(tasks_.size())));
  }

  Supernet& net_;
  const std::vector<EvaluateTask>& tasks_;
  const Dataset* calibration_;
  const Dataset& data_;
  const Preprocessing& how_;
  const EvaluateOptions& options_;
  Job& job_;
  std::size_t images_, batches_;
  Crew crew_;
  std::mutex mutex_;
  double done_ = 0;
  std::vector<Evaluation> results_;
};

}  // namespace

std::vector<Evaluation> evaluate(Supernet& net, const std::vector<EvaluateTask>& tasks,
                                 const Dataset* calibration, const Dataset& data, const Preprocessing& how,
                                 const EvaluateOptions& options, Job& job) {
  return Evaluator(net, tasks, calibration, data, how, options, job).run();
}

std::vector<Evaluation> evaluate(Supernet& net, const std::vector<SubnetConfig>& configs,
                                 const Dataset& calibration, const Dataset& data, const Preprocessing& how,
                                 const EvaluateOptions& options, Job& job) {
  std::vector<EvaluateTask> tasks;
  for (const SubnetConfig& config : configs) tasks.push_back({config, BnSource::calibrated, {}});
  return evaluate(net, tasks, &calibration, data, how, options, job);
}

}  // namespace dsn

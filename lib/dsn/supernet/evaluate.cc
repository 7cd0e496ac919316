// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "dsn/supernet/batches.h"
#include "dsn/supernet/crew.h"

namespace dsn {
namespace {

// Input tensors at one resolution, made once and shared by the workers (small images; a large set is made
// batch by batch).
constexpr std::size_t kCacheBytes = std::size_t{1} << 30;

struct Inputs {
  std::vector<torch::Tensor> calibration;
  std::vector<Batch> batches;  // empty: too large to keep
};

class Worker {
 public:
  Worker(Supernet& net, const Dataset& calibration, const Dataset& data, const Preprocessing& how,
         const EvaluateOptions& options)
      : net_(net),
        calibration_(calibration),
        data_(data),
        how_(how),
        options_(options),
        images_(options.images == 0 ? data.size() : std::min(options.images, data.size())) {}

  Inputs inputs(int r) const {
    Inputs in;
    in.calibration =
        calibration_batches(calibration_, how_, r, options_.calibration_images, options_.calibration_batch);
    const std::size_t bytes = images_ * static_cast<std::size_t>(how_.channels * r * r) * sizeof(float);
    if (bytes <= kCacheBytes) {
      for (std::size_t first = 0; first < images_; first += options_.batch)
        in.batches.push_back(batch(r, first));
    }
    return in;
  }

  Evaluation operator()(const SubnetConfig& config, const Inputs& in, const Job& job) const {
    torch::NoGradGuard no_grad;
    Evaluation result;
    result.bn = net_.calibrate(in.calibration, config);
    std::int64_t correct = 0;
    for (std::size_t first = 0; first < images_; first += options_.batch) {
      job.check_stop();
      const Batch b = in.batches.empty() ? batch(config.r, first) : in.batches[first / options_.batch];
      const torch::Tensor logits = net_.forward(b.images, config, BnMode::stored, &result.bn);
      correct += logits.argmax(1).eq(b.labels).sum().item<std::int64_t>();
    }
    result.images = images_;
    result.accuracy = static_cast<double>(correct) / static_cast<double>(images_);
    return result;
  }

 private:
  Batch batch(int r, std::size_t first) const {
    return make_batch(data_, how_, r, first, std::min(options_.batch, images_ - first));
  }

  Supernet& net_;
  const Dataset& calibration_;
  const Dataset& data_;
  const Preprocessing& how_;
  const EvaluateOptions& options_;
  std::size_t images_;
};

}  // namespace

std::vector<Evaluation> evaluate(Supernet& net, const std::vector<SubnetConfig>& configs,
                                 const Dataset& calibration, const Dataset& data, const Preprocessing& how,
                                 const EvaluateOptions& options, Job& job) {
  const Worker worker(net, calibration, data, how, options);
  std::vector<Evaluation> results(configs.size());
  Crew crew(std::min(options.threads, static_cast<int>(configs.size())));

  // One resolution after another, so that only one set of inputs is in memory.
  std::map<int, std::vector<std::size_t>> by_resolution;
  for (std::size_t i = 0; i < configs.size(); ++i) by_resolution[configs[i].r].push_back(i);
  std::size_t finished = 0;
  for (const auto& [r, indices] : by_resolution) {
    const Inputs inputs = worker.inputs(r);
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    crew.run([&](int) {
      for (std::size_t i = next++; i < indices.size(); i = next++) {
        results[indices[i]] = worker(configs[indices[i]], inputs, job);
        const std::lock_guard lock(mutex);
        job.advance(static_cast<double>(++finished));
      }
    });
  }
  return results;
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/train_step.h"

#include <fmt/format.h>

#include "dsn/supernet/device.h"

namespace dsn {
namespace {

constexpr std::int64_t kFirst = 0, kSecond = 1, kStop = 2;  // of the values behind the gradients

torch::Tensor against_labels(const torch::Tensor& logits, const torch::Tensor& labels, double smoothing) {
  return torch::nn::functional::cross_entropy(
      logits, labels, torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(smoothing));
}

}  // namespace

torch::Tensor resized(const torch::Tensor& images, int r) {
  if (images.size(3) == r) return images;
  return torch::_upsample_bilinear2d_aa(images, std::vector<std::int64_t>{r, r}, /*align_corners=*/false);
}

void sum_as_tree(const std::vector<torch::Tensor>& parts) {
  for (std::size_t stride = 1; stride < parts.size(); stride *= 2) {
    for (std::size_t i = 0; i + stride < parts.size(); i += 2 * stride)
      torch::Tensor(parts[i]).add_(parts[i + stride]);
  }
}

StepTask make_task(const TrainPhase& phase, const SearchSpace& space, const TrainOptions& options, int epoch,
                   std::size_t step) {
  Rng rng = Rng::stream(options.seed, fmt::format("subnets/{}/{}", epoch, step));
  StepTask task;
  task.rule = phase.rule;
  task.dropout_seed = rng();
  switch (phase.rule) {
    case StepRule::sandwich:
      task.subnets = {phase.space.largest(), phase.space.smallest()};
      for (int i = 0; i < options.random_subnets; ++i) task.subnets.push_back(phase.space.sample(rng));
      break;
    case StepRule::labels:
      task.subnets = {options.subnet ? *options.subnet : phase.space.largest()};
      if (!options.subnet) task.subnets[0].r = phase.space.sample(rng).r;
      break;
    case StepRule::distil: {
      // One resolution a step, so that the teacher looks at the batch once.
      const int r = phase.space.sample(rng).r;
      for (int i = 0; i < phase.subnets; ++i) task.subnets.push_back(phase.space.sample(rng, r));
      break;
    }
  }
  for (SubnetConfig& config : task.subnets) config = in_whole_space(space, std::move(config));
  return task;
}

StepRunner::StepRunner(Supernet& net, Optimizer& optimizer, const TrainOptions& options, int first_worker,
                       int all_workers)
    : optimizer_(optimizer),
      options_(options),
      first_worker_(first_worker),
      share_(1.0 / all_workers),
      crew_(options.workers) {
  for (int w = 0; w < options.workers; ++w) {
    Supernet& replica = replicas_.emplace_back(net.replica());
    if (w == 0) {
      gradients_.push_back(optimizer.gradient_buffer());
      for (auto& [name, view] : optimizer.layout().views(optimizer.gradient_buffer()))
        replica.parameters().at(name).mutable_grad() = view;
    } else {
      gradients_.push_back(attach_gradients(replica.parameters(), optimizer.layout()));
    }
  }
}

void StepRunner::work(int worker, const StepTask& task, const Batch& mine, Supernet* teacher,
                      double loss_scale) {
  Supernet& net = replicas_[static_cast<std::size_t>(worker)];
  torch::Tensor values =
      gradients_[static_cast<std::size_t>(worker)].narrow(0, optimizer_.layout().size(), kStepValues);
  const Autocast autocast(options_.precision);
  const auto add = [&](const torch::Tensor& loss, std::int64_t value) {
    (loss * (share_ * loss_scale)).backward();
    torch::NoGradGuard no_grad;
    values.select(0, value).add_(loss.detach(), share_);
  };
  const auto& subnets = task.subnets;
  switch (task.rule) {
    case StepRule::labels:
    case StepRule::sandwich: {
      const torch::Tensor logits = net.forward(
          resized(mine.images, subnets[0].r), subnets[0], BnMode::batch_update, nullptr, options_.dropout,
          task.dropout_seed + static_cast<std::uint64_t>(first_worker_ + worker));
      add(against_labels(logits, mine.labels, options_.label_smoothing), kFirst);
      if (subnets.size() == 1) break;
      const torch::Tensor soft = torch::softmax(logits.detach(), 1);
      for (std::size_t i = 1; i < subnets.size(); ++i) {
        const torch::Tensor out = net.forward(resized(mine.images, subnets[i].r), subnets[i], BnMode::batch);
        // The random ones' losses are not reported: other sub-networks every step.
        add(torch::nn::functional::cross_entropy(out, soft), i == 1 ? kSecond : kStepValues - 1);
      }
      break;
    }
    case StepRule::distil: {
      const torch::Tensor images = resized(mine.images, subnets[0].r);
      torch::Tensor soft;
      {
        torch::NoGradGuard no_grad;
        SubnetConfig full = teacher->space().largest();
        full.r = subnets[0].r;
        soft = torch::softmax(teacher->forward(images, full, BnMode::batch), 1);
      }
      for (const SubnetConfig& config : subnets) {
        const torch::Tensor out = net.forward(images, config, BnMode::batch);
        const torch::Tensor loss = against_labels(out, mine.labels, options_.label_smoothing) +
                                   torch::nn::functional::cross_entropy(out, soft);
        loss.mul(share_ * loss_scale).backward();
        torch::NoGradGuard no_grad;
        values.select(0, kFirst).add_(loss.detach(), share_ / static_cast<double>(subnets.size()));
      }
      break;
    }
  }
}

void StepRunner::run(const StepTask& task, const Batch& part, Supernet* teacher, double loss_scale,
                     bool stop) {
  const std::int64_t each = part.images.size(0) / options_.workers;
  crew_.run([&](int worker) {
    work(worker, task,
         {part.images.narrow(0, worker * each, each), part.labels.narrow(0, worker * each, each)}, teacher,
         loss_scale);
  });
  torch::NoGradGuard no_grad;
  if (stop) gradients_[0].select(0, optimizer_.layout().size() + kStop).add_(1);
  sum_as_tree(gradients_);
  for (std::size_t w = 1; w < gradients_.size(); ++w) gradients_[w].zero_();
}

StepLoss StepRunner::losses() const {
  const torch::Tensor values =
      optimizer_.gradient_buffer().narrow(0, optimizer_.layout().size(), kStepValues).to(torch::kCPU);
  const float* v = values.data_ptr<float>();
  return {v[kFirst], v[kSecond], v[kStop] > 0};
}

}  // namespace dsn

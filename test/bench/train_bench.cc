// SPDX-License-Identifier: Apache-2.0
// Times the training step: forward and backward of the sandwich's sub-networks, gradient sum, clipping, SGD
// with Nesterov momentum and the weights' average, on one batch of random images. One line of JSON on stdout.
//
//   train_bench STEPS WORKERS [TASKS.json]   TASKS.json: written, the sub-networks of each step, so that
//                                            train_step.py can run the same ones
//
// With RANK, WORLD_SIZE and MASTER_PORT it is one rank of several, and rank 0 prints.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include <algorithm>
#include <chrono>

#include "dsn/core/file.h"
#include "dsn/core/stats.h"
#include "dsn/supernet/ranks.h"
#include "dsn/supernet/train_step.h"

namespace {

constexpr std::size_t kBatch = 128, kWarmUp = 5;

int run(std::size_t steps, int workers, const std::string& tasks_file) {
  using namespace dsn;  // NOLINT(google-build-using-namespace)
  const SearchSpace space = SearchSpace::load("fmnist-mbv3");
  TrainOptions options;
  options.workers = workers;
  options.batch = kBatch;
  const TrainPlan plan = make_plan(space, options);
  const RankPlace place = rank_place([](const char* name) { return std::getenv(name); });
  std::unique_ptr<Ranks> ranks;
  if (place.size > 1) ranks = std::make_unique<Ranks>(place, 60, false);

  if (!tasks_file.empty()) {
    Json tasks = Json::array();
    for (std::size_t s = 0; s < steps + kWarmUp; ++s) {
      Json task = Json::array();
      for (const SubnetConfig& c : make_task(plan.phases[0], space, options, 0, s).subnets)
        task.push_back(space.to_json(c));
      tasks.push_back(std::move(task));
    }
    write_file_atomic(tasks_file,
                      Json{{"space", space.document()}, {"batch", kBatch}, {"tasks", tasks}}.dump());
  }

  Supernet net(space, 1);
  Optimizer optimizer(net.parameters(),
                      {options.momentum, options.weight_decay, options.clip_norm, options.ema_decay});
  StepRunner runner(net, optimizer, options, place.rank * workers, place.size * workers);
  torch::manual_seed(1);
  const auto part = static_cast<std::int64_t>(kBatch) / place.size;
  const Batch batch{torch::randn({part, 1, 28, 28}), torch::randint(0, 10, {part}, torch::kInt64)};

  std::vector<double> seconds;
  for (std::size_t s = 0; s < steps + kWarmUp; ++s) {
    const auto start = std::chrono::steady_clock::now();
    runner.run(make_task(plan.phases[0], space, options, 0, s), batch, nullptr, 1.0, false);
    if (ranks) ranks->sum(optimizer.gradient_buffer());
    const StepLoss loss = runner.losses();
    if (!(loss.first > 0)) return 1;
    optimizer.step(0.01);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (s >= kWarmUp) seconds.push_back(took.count());
  }
  double total = 0;
  for (const double s : seconds) total += s;
  if (place.rank == 0) {
    std::printf("{\"images_per_s\": %.2f, \"step_ms_mean\": %.3f, \"step_ms_median\": %.3f}\n",
                static_cast<double>(kBatch * steps) / total, 1e3 * total / static_cast<double>(steps),
                1e3 * median(seconds));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: train_bench STEPS WORKERS [TASKS.json]\n");
    return 2;
  }
  try {
    return run(std::strtoul(argv[1], nullptr, 10), std::atoi(argv[2]), argc > 3 ? argv[3] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train_bench: error: %s\n", error.what());
    return 1;
  }
}

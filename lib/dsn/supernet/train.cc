// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dsn/core/error.h"
#include "dsn/supernet/trainer.h"

namespace dsn {
namespace {

Supernet fresh_net(const SearchSpace& space, std::uint64_t seed, const torch::Device& device) {
  Supernet net(space, seed);
  if (!device.is_cpu()) net.to(device);
  return net;
}

torch::Device open_training_device(const TrainOptions& options, const Ranks* ranks) {
  const torch::Device device = open_device(options.device, ranks == nullptr ? 0 : ranks->place().local_rank);
  if (device.is_cpu() && options.precision != Precision::float32) {
    throw Error(ErrorCode::bad_usage,
                fmt::format("precision {} needs a CUDA device", to_string(options.precision)),
                "add --device cuda, or leave out --precision");
  }
  return device;
}

}  // namespace

Trainer::Trainer(CheckpointInfo info, const Dataset& train, const Dataset& val, const TrainOptions& options,
                 const TrainFiles& files, Job& job, const torch::Device& device, Ranks* ranks)
    : info_(std::move(info)),
      train_(train),
      val_(val),
      options_(options),
      files_(files),
      job_(job),
      plan_(make_plan(info_.space, options)),
      ranks_(ranks),
      device_(device),
      net_(fresh_net(info_.space, options.seed, device)),
      averaged_(info_.space, options.seed),
      optimizer_(net_.parameters(),
                 {options.momentum, options.weight_decay, options.clip_norm, options.ema_decay}),
      runner_(net_, optimizer_, options, rank() * options.workers, rank_count() * options.workers),
      watch_(options.guard),
      scale_(options.precision),
      state_path_(files.out.string() + ".state"),
      steps_per_epoch_(TrainBatches::steps(train, options.batch)) {}

void Trainer::run() {
  require_same_everywhere();
  if (files_.resume) resume();
  started_ = saved_ = Clock::now();
  double work = 0;
  for (const TrainPhase& phase : plan_.phases) work += phase.epochs * phase.subnets;
  job_.begin("train", work * static_cast<double>(steps_per_epoch_));
  while (at_.epoch < last_epoch()) run_epoch();
  job_.end();
  at_.elapsed_s += seconds_since(started_);
  finish();
}

void Trainer::begin_phase() {
  const TrainPhase& now = phase();
  if (plan_.phases.size() > 1) job_.info(fmt::format("phase {}: elastic: {}", now.name, now.elastic));
  if (at_.epoch == 0) return;
  optimizer_.restart();
  watch_.set_recent({});  // another mix of sub-networks has another loss
  if (now.rule == StepRule::distil && !teacher_) set_teacher(net_.parameters());
  if (now.sort_channels) {
    torch::NoGradGuard no_grad;
    for (auto& [name, t] : net_.buffers()) t.copy_(runner_.buffers().at(name));
    net_.sort_channels();
    for (auto& [name, t] : net_.buffers()) runner_.buffers().at(name).copy_(t);
    optimizer_.restart_average();
  }
}

void Trainer::set_teacher(const std::map<std::string, torch::Tensor>& weights) {
  torch::NoGradGuard no_grad;
  teacher_ = std::make_shared<Supernet>(info_.space, options_.seed);
  teacher_->to(net_.device());
  for (auto& [name, t] : teacher_->parameters()) t.copy_(weights.at(name));
}

void Trainer::run_epoch() {
  if (at_.step == 0) {
    at_.loss_first = at_.loss_second = at_.loss_steps = 0;
    if (at_.epoch == phase().first_epoch) begin_phase();
  }
  const auto start = Clock::now();
  const std::size_t first_step = at_.step;
  BatchPlan batch_plan{resolution(), options_.batch};
  batch_plan.seed = options_.seed;
  batch_plan.epoch = at_.epoch;
  batch_plan.first_step = at_.step;
  batch_plan.loaders = options_.loaders;
  batch_plan.count = options_.batch / static_cast<std::size_t>(rank_count());
  batch_plan.first = batch_plan.count * static_cast<std::size_t>(rank());
  batch_plan.pin = !device_.is_cpu();
  TrainBatches batches(train_, info_.preprocessing, options_.augmentation, batch_plan);
  take_snapshot();
  for (; at_.step < steps_per_epoch_; ++at_.step) {
    if (ranks_ == nullptr && job_.stop_requested()) interrupted();
    if (at_.step > first_step && at_.step % options_.guard.snapshot_steps == 0) take_snapshot();
    if (seconds_since(saved_) > options_.state_every_s) save_state();
    if (!train_step(batches.next())) return;  // rolled back to an earlier epoch or step
    if (at_.step % 10 == 0)
      show_progress(static_cast<double>((at_.step + 1 - first_step) * options_.batch) / seconds_since(start));
  }
  end_epoch(static_cast<double>((steps_per_epoch_ - first_step) * options_.batch) / seconds_since(start));
}

void Trainer::interrupted() {
  save_state();
  throw Error(ErrorCode::interrupted,
              fmt::format("interrupted in epoch {}; state saved to {}", at_.epoch + 1, state_path_.string()),
              "continue with --resume");
}

void Trainer::end_epoch(double images_per_s) {
  const TrainPhase& now = phase();
  const bool sandwich = now.rule == StepRule::sandwich;
  const double steps = std::max(1.0, at_.loss_steps);
  Json row = {{"epoch", at_.epoch + 1},
              {"phase", now.name},
              {"loss", at_.loss_first / steps},
              {"images_per_s", images_per_s},
              {"learning_rate", now.learning_rate_at(at_.epoch) * at_.lr_scale}};
  if (sandwich) {
    row["loss_largest"] = at_.loss_first / steps;
    row["loss_smallest"] = at_.loss_second / steps;
  }
  std::string said = fmt::format(
      "epoch {}/{} {}: loss {:.4f}{}; {:.0f} images/s", at_.epoch + 1, options_.epochs, now.name,
      at_.loss_first / steps,
      sandwich ? fmt::format(" largest, {:.4f} smallest", at_.loss_second / steps) : "", images_per_s);
  if ((at_.epoch + 1) % options_.evaluate_every == 0 || at_.epoch + 1 == last_epoch()) {
    const auto results = evaluate_ends(now.space);
    if (!results.empty()) {
      put_accuracies(row, results);
      accuracy_ = results.size() == 1 ? fmt::format("{:.2f} %", 100 * results[0].accuracy())
                                      : fmt::format("{:.2f} % largest, {:.2f} % smallest",
                                                    100 * results[0].accuracy(), 100 * results[1].accuracy());
      said += "; validation " + accuracy_;
    }
  } else {
    for (const char* key : {"accuracy", "accuracy_largest", "accuracy_smallest"})
      if (std::string_view(key) == "accuracy" ? options_.subnet.has_value() : !options_.subnet)
        row[key] = nullptr;
    row["accuracy_reason"] = "not evaluated after this epoch";
  }
  at_.curve.push_back(std::move(row));
  job_.info(said);
  ++at_.epoch;
  at_.step = 0;
  if (!files_.curve.empty()) write_curve();
  save_state();
}

void Trainer::show_progress(double images_per_s) {
  double done = 0;
  for (const TrainPhase& p : plan_.phases) {
    const int epochs = std::clamp(at_.epoch - p.first_epoch, 0, p.epochs);
    done += epochs * p.subnets * static_cast<double>(steps_per_epoch_);
  }
  done += phase().subnets * static_cast<double>(at_.step);
  job_.advance(done, fmt::format("epoch {}/{} {} loss {:.3f} {:.0f} img/s {}", at_.epoch + 1, options_.epochs,
                                 phase().name, at_.loss_first / std::max(1.0, at_.loss_steps), images_per_s,
                                 accuracy_));
}

bool Trainer::train_step(const Batch& batch) {
  const Batch here = device_.is_cpu() ? batch
                                      : Batch{batch.images.to(device_, /*non_blocking=*/true),
                                              batch.labels.to(device_, /*non_blocking=*/true)};
  runner_.run(make_task(phase(), info_.space, options_, at_.epoch, at_.step), here, teacher_.get(),
              scale_.value(), ranks_ != nullptr && job_.stop_requested());
  if (ranks_ != nullptr) sum_over_ranks();
  const StepLoss loss = runner_.losses();
  if (loss.stop) {
    optimizer_.clear_gradients();
    interrupted();
  }
  if (scale_.value() > 1) optimizer_.scale_gradients(1 / scale_.value());
  const double norm = optimizer_.gradient_norm();
  if (scale_.overflowed(std::isfinite(loss.first), std::isfinite(norm))) {
    optimizer_.clear_gradients();
    return true;
  }
  const std::string trouble = watch_.check(loss.first, norm);
  if (!trouble.empty()) return skip_or_roll_back(trouble);
  optimizer_.step(
      at_.lr_scale * phase().learning_rate_at(at_.epoch + static_cast<double>(at_.step) /
                                                              static_cast<double>(steps_per_epoch_)),
      norm);
  at_.loss_first += loss.first;
  at_.loss_second += loss.second;
  at_.loss_steps += 1;
  return true;
}

void Trainer::sum_over_ranks() {
  try {
    ranks_->sum(optimizer_.gradient_buffer());
  } catch (const Error& error) {
    optimizer_.clear_gradients();
    save_state();
    throw Error(
        error.code(), error.message(),
        rank() == 0
            ? fmt::format("start all ranks again with --resume: {} holds the state of epoch {}, step {}",
                          state_path_.string(), at_.epoch + 1, at_.step + 1)
            : error.hint());
  }
}

void Trainer::require_same_everywhere() {
  if (ranks_ == nullptr) return;
  const std::string mine =
      fmt::format("{} {} {} {} {} {} {}", options_json().dump(), to_json(plan_).dump(), info_.space.sha256(),
                  train_.name(), train_.size(), files_.resume, options_.stop_after);
  if (ranks_->share("options", mine) != mine) {
    throw Error(ErrorCode::mismatch,
                fmt::format("rank {} was started with other options or data than rank 0", rank()),
                "give all ranks the same command line");
  }
}

void train_supernet(CheckpointInfo info, const Dataset& train, const Dataset& val,
                    const TrainOptions& options, const TrainFiles& files, Job& job, Ranks* ranks) {
  try {
    const int ranks_count = ranks == nullptr ? 1 : ranks->size();
    const auto all =
        static_cast<std::size_t>(std::max(1, options.workers)) * static_cast<std::size_t>(ranks_count);
    if (options.workers < 1 || options.batch % all != 0) {
      throw Error(ErrorCode::bad_usage,
                  ranks == nullptr ? fmt::format("a batch of {} does not divide among {} workers",
                                                 options.batch, options.workers)
                                   : fmt::format("a batch of {} does not divide among {} ranks of {} workers",
                                                 options.batch, ranks_count, options.workers),
                  "choose --batch as a multiple of --workers, times the ranks");
    }
    if (options.subnet) info.space.validate(*options.subnet);
    if (ranks == nullptr || ranks->rank() == 0) check_writable(files.out);
    Trainer(std::move(info), train, val, options, files, job, open_training_device(options, ranks), ranks)
        .run();
  } catch (const std::exception& error) {
    if (ranks != nullptr) ranks->tell_failure(error.what());
    throw;
  }
}

}  // namespace dsn

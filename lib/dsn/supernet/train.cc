// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/train.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <numbers>

#include "dsn/supernet/batches.h"
#include "dsn/supernet/crew.h"
#include "dsn/supernet/evaluate.h"
#include "dsn/supernet/optimizer.h"

namespace dsn {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double learning_rate(const TrainOptions& options, double epoch) {
  if (epoch < options.warmup_epochs) return options.learning_rate * (epoch + 1e-3) / options.warmup_epochs;
  const double progress = (epoch - options.warmup_epochs) / (options.epochs - options.warmup_epochs);
  return options.learning_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(1.0, progress)));
}

torch::Tensor resized(const torch::Tensor& images, int r) {
  if (images.size(3) == r) return images;
  return torch::_upsample_bilinear2d_aa(images, std::vector<std::int64_t>{r, r}, /*align_corners=*/false);
}

Json to_json(const TrainEpoch& e) {
  Json row = {{"epoch", e.epoch},
              {"loss_largest", e.loss_largest},
              {"loss_smallest", e.loss_smallest},
              {"images_per_s", e.images_per_s}};
  row["accuracy_largest"] = e.accuracy_largest ? Json(*e.accuracy_largest) : Json();
  row["accuracy_smallest"] = e.accuracy_smallest ? Json(*e.accuracy_smallest) : Json();
  if (!e.accuracy_largest) row["accuracy_reason"] = "not evaluated after this epoch";
  return row;
}

class Trainer {
 public:
  Trainer(CheckpointInfo info, const Dataset& train, const Dataset& val, const TrainOptions& options,
          const TrainFiles& files, Job& job)
      : info_(std::move(info)),
        train_(train),
        val_(val),
        options_(options),
        files_(files),
        job_(job),
        net_(info_.space, options.seed),
        averaged_(info_.space, options.seed),
        optimizer_(net_.parameters(),
                   {options.momentum, options.weight_decay, options.clip_norm, options.ema_decay}),
        crew_(options.workers),
        state_path_(files.out.string() + ".state"),
        steps_per_epoch_(TrainBatches::steps(train, options.batch)) {
    if (options.workers < 1 || options.batch % static_cast<std::size_t>(options.workers) != 0) {
      throw Error(
          ErrorCode::bad_usage,
          fmt::format("a batch of {} does not divide among {} workers", options.batch, options.workers),
          "choose --batch as a multiple of --workers");
    }
    for (int w = 0; w < options.workers; ++w) replicas_.push_back(net_.replica());
  }

  void run() {
    if (files_.resume) load_state();
    const auto start = Clock::now();
    job_.begin("train", static_cast<double>(options_.epochs) * static_cast<double>(steps_per_epoch_));
    for (; epoch_ < last_epoch(); ++epoch_, step_ = 0) run_epoch();
    job_.end();
    elapsed_s_ += seconds_since(start);
    finish();
  }

 private:
  [[nodiscard]] int last_epoch() const {
    return options_.stop_after > 0 ? std::min(options_.stop_after, options_.epochs) : options_.epochs;
  }

  void run_epoch() {
    const auto start = Clock::now();
    const std::size_t first_step = step_;
    if (first_step == 0) loss_ = {};
    TrainBatches batches(train_, info_.preprocessing, options_.augmentation, info_.space.resolutions().back(),
                         options_.batch, options_.seed, epoch_, step_);
    for (; step_ < steps_per_epoch_; ++step_) {
      if (job_.stop_requested()) {
        save_state(epoch_, step_);
        throw Error(
            ErrorCode::interrupted,
            fmt::format("interrupted in epoch {}; state saved to {}", epoch_ + 1, state_path_.string()),
            "continue with --resume");
      }
      train_step(batches.next());
      if (step_ % 10 == 0) {
        job_.advance(
            static_cast<double>(epoch_) * static_cast<double>(steps_per_epoch_) + static_cast<double>(step_),
            fmt::format(
                "epoch {}/{} loss {:.3f}/{:.3f} {:.0f} img/s", epoch_ + 1, options_.epochs,
                loss_.largest / loss_.steps, loss_.smallest / loss_.steps,
                static_cast<double>((step_ + 1 - first_step) * options_.batch) / seconds_since(start)));
      }
    }
    TrainEpoch row;
    row.epoch = epoch_ + 1;
    row.loss_largest = loss_.largest / loss_.steps;
    row.loss_smallest = loss_.smallest / loss_.steps;
    row.images_per_s =
        static_cast<double>((steps_per_epoch_ - first_step) * options_.batch) / seconds_since(start);
    if (row.epoch % options_.evaluate_every == 0 || row.epoch == last_epoch()) {
      const auto results = evaluate_ends(val_);
      row.accuracy_largest = results[0].accuracy;
      row.accuracy_smallest = results[1].accuracy;
    }
    curve_.push_back(to_json(row));
    if (!files_.curve.empty()) write_curve();
    job_.info(fmt::format("epoch {}/{}: loss {:.4f} largest, {:.4f} smallest; {:.0f} images/s{}", row.epoch,
                          options_.epochs, row.loss_largest, row.loss_smallest, row.images_per_s,
                          row.accuracy_largest
                              ? fmt::format("; validation {:.2f} % largest, {:.2f} % smallest",
                                            100 * *row.accuracy_largest, 100 * *row.accuracy_smallest)
                              : ""));
    save_state(epoch_ + 1, 0);
  }

  struct StepLoss {
    double largest = 0, smallest = 0;
  };

  // Forward and backward of one worker's part of a batch.
  StepLoss worker_step(Supernet& net, const Batch& batch, const std::vector<SubnetConfig>& students,
                       std::uint64_t dropout_seed) const {
    const double share = 1.0 / options_.workers;
    const torch::Tensor logits = net.forward(batch.images, info_.space.largest(), BnMode::batch_update,
                                             nullptr, options_.dropout, dropout_seed);
    const torch::Tensor loss = torch::nn::functional::cross_entropy(
        logits, batch.labels,
        torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(options_.label_smoothing));
    (loss * share).backward();
    StepLoss result{loss.item<double>() * share, 0};
    const torch::Tensor soft = torch::softmax(logits.detach(), 1);
    for (std::size_t i = 0; i < students.size(); ++i) {
      const torch::Tensor out = net.forward(resized(batch.images, students[i].r), students[i], BnMode::batch);
      const torch::Tensor student = torch::nn::functional::cross_entropy(out, soft);
      (student * share).backward();
      if (i == 0) result.smallest = student.item<double>() * share;
    }
    return result;
  }

  void train_step(const Batch& batch) {
    Rng rng = Rng::stream(options_.seed, fmt::format("subnets/{}/{}", epoch_, step_));
    const std::uint64_t dropout_seed = rng();
    std::vector<SubnetConfig> students{info_.space.smallest()};
    for (int i = 0; i < options_.random_subnets; ++i) students.push_back(info_.space.sample(rng));

    const auto part = static_cast<std::int64_t>(options_.batch) / options_.workers;
    std::vector<StepLoss> losses(static_cast<std::size_t>(options_.workers));
    crew_.run([&](int worker) {
      const Batch mine{batch.images.narrow(0, worker * part, part),
                       batch.labels.narrow(0, worker * part, part)};
      losses[static_cast<std::size_t>(worker)] =
          worker_step(replicas_[static_cast<std::size_t>(worker)], mine, students,
                      dropout_seed + static_cast<std::uint64_t>(worker));
    });
    double largest = 0;
    for (const StepLoss& l : losses) {
      largest += l.largest;
      loss_.smallest += l.smallest;
    }
    loss_.largest += largest;
    loss_.steps += 1;
    gather_gradients();
    const double norm = optimizer_.step(
        learning_rate(options_, epoch_ + static_cast<double>(step_) / static_cast<double>(steps_per_epoch_)));
    if (!std::isfinite(largest) || !std::isfinite(norm)) {
      throw Error(ErrorCode::failed,
                  fmt::format("training: loss {} and gradient norm {} in epoch {}, step {}", largest, norm,
                              epoch_ + 1, step_),
                  "lower --lr, or resume from the state saved after the epoch before");
    }
  }

  // Sums the workers' gradients into the super-network's, in worker order.
  void gather_gradients() {
    torch::NoGradGuard no_grad;
    for (auto& [name, parameter] : net_.parameters()) {
      torch::Tensor& sum = parameter.mutable_grad();
      if (!sum.defined()) sum = torch::zeros_like(parameter);
      for (Supernet& replica : replicas_) {
        torch::Tensor& gradient = replica.parameters().at(name).mutable_grad();
        if (gradient.defined()) sum.add_(gradient), gradient.zero_();
      }
    }
  }

  // Largest and smallest, with the averaged weights.
  std::vector<Evaluation> evaluate_ends(const Dataset& data) {
    copy_averaged();
    EvaluateOptions options;
    options.calibration_images = options_.calibration_images;
    options.threads = options_.workers;
    return evaluate(averaged_, {info_.space.largest(), info_.space.smallest()}, train_, data,
                    info_.preprocessing, options, silent_job());
  }

  void copy_averaged() {
    torch::NoGradGuard no_grad;
    for (auto& [name, tensor] : averaged_.parameters()) tensor.copy_(optimizer_.averaged().at(name));
    for (auto& [name, tensor] : averaged_.buffers()) tensor.copy_(replicas_[0].buffers().at(name));
  }

  void finish() {
    const auto ends = evaluate_ends(val_);
    // The stored statistics belong to the averaged weights of the largest sub-network, not to the last raw
    // ones.
    torch::NoGradGuard no_grad;
    for (const auto& [name, stats] : ends[0].bn) {
      averaged_.buffers().at(name + ".running_mean").copy_(stats.mean);
      averaged_.buffers().at(name + ".running_var").copy_(stats.variance);
    }
    info_.record = {{"options", dsn::to_json(options_)},
                    {"train",
                     {{"data", train_.name()},
                      {"epochs_done", epoch_},
                      {"images", train_.size()},
                      {"elapsed_s", elapsed_s_}}},
                    {"validation",
                     {{"data", val_.name()},
                      {"images", val_.size()},
                      {"origin", "measured"},
                      {"accuracy_largest", ends[0].accuracy},
                      {"accuracy_smallest", ends[1].accuracy}}},
                    {"curve", curve_},
                    {"context", host_context()}};
    write_checkpoint(files_.out, info_, averaged_.tensor_views());
    if (epoch_ >= options_.epochs) fs::remove(state_path_);
  }

  void write_curve() const {
    std::string lines;
    for (const Json& row : curve_) lines += row.dump() + "\n";
    write_file_atomic(files_.curve, lines);
  }

  // State from which step `step` of epoch `epoch` can follow.
  void save_state(int epoch, std::size_t step) {
    std::map<std::string, TensorView> tensors;
    optimizer_.append_state(tensors);
    for (const auto& [name, t] : replicas_[0].buffers()) {
      tensors["buffer/" + name] = {
          DType::f32, t.sizes().vec(),
          std::span(static_cast<const std::byte*>(t.data_ptr()), static_cast<std::size_t>(t.nbytes()))};
    }
    const Json state = {{"options", dsn::to_json(options_)},
                        {"space_sha256", info_.space.sha256()},
                        {"epoch", epoch},
                        {"step", step},
                        {"steps", optimizer_.steps()},
                        {"curve", curve_},
                        {"elapsed_s", elapsed_s_},
                        {"loss", {loss_.largest, loss_.smallest, loss_.steps}}};
    write_safetensors(state_path_, tensors, {{"dsn.train_state", state.dump()}});
  }

  void load_state() {
    if (!fs::exists(state_path_)) {
      throw Error(ErrorCode::not_found,
                  fmt::format("{}: no training state to resume from", state_path_.string()),
                  "start without --resume");
    }
    const TensorFile file = TensorFile::open(state_path_);
    const auto it = file.metadata().find("dsn.train_state");
    const Json state = it == file.metadata().end() ? Json() : Json::parse(it->second, nullptr, false);
    if (!state.is_object())
      throw Error(ErrorCode::bad_input, fmt::format("{}: not a training state of dsn", state_path_.string()));
    if (state.value("space_sha256", "") != info_.space.sha256() ||
        state.value("options", Json()) != dsn::to_json(options_)) {
      throw Error(
          ErrorCode::mismatch,
          fmt::format("{}: this state is of another space or other training options", state_path_.string()),
          "give the same options as before, or start without --resume");
    }
    const JsonView v(state, state_path_.string());
    epoch_ = static_cast<int>(v["epoch"].integer(0, options_.epochs));
    step_ = static_cast<std::size_t>(v["step"].integer(0, static_cast<std::int64_t>(steps_per_epoch_)));
    curve_ = v["curve"].json();
    elapsed_s_ = v["elapsed_s"].number();
    loss_ = {v["loss"][0].number(), v["loss"][1].number(), v["loss"][2].number()};
    optimizer_.load_state(file, v["steps"].integer(0, std::int64_t{1} << 60));
    torch::NoGradGuard no_grad;
    for (auto& [name, t] : replicas_[0].buffers()) {
      const auto values = file.at("buffer/" + name).floats();
      t.copy_(torch::from_blob(const_cast<float*>(values.data()), t.sizes()));
    }
    job_.info(fmt::format("resuming in epoch {} of {}, step {}", epoch_ + 1, options_.epochs, step_));
  }

  CheckpointInfo info_;
  const Dataset& train_;
  const Dataset& val_;
  const TrainOptions& options_;
  const TrainFiles& files_;
  Job& job_;
  Supernet net_, averaged_;
  Optimizer optimizer_;
  std::vector<Supernet>
      replicas_;  // one a worker, over net_'s weights; the first one's running statistics count
  Crew crew_;
  fs::path state_path_;
  std::size_t steps_per_epoch_ = 0, step_ = 0;
  int epoch_ = 0;
  double elapsed_s_ = 0;
  struct {
    double largest = 0, smallest = 0, steps = 0;
  } loss_;
  Json curve_ = Json::array();
};

}  // namespace

Json to_json(const TrainOptions& o) {
  return {{"epochs", o.epochs},
          {"batch", o.batch},
          {"learning_rate", o.learning_rate},
          {"warmup_epochs", o.warmup_epochs},
          {"momentum", o.momentum},
          {"weight_decay", o.weight_decay},
          {"label_smoothing", o.label_smoothing},
          {"dropout", o.dropout},
          {"random_subnets", o.random_subnets},
          {"ema_decay", o.ema_decay},
          {"clip_norm", o.clip_norm},
          {"augmentation",
           {{"pad", o.augmentation.pad},
            {"flip", o.augmentation.flip},
            {"erase", o.augmentation.erase},
            {"min_area", o.augmentation.min_area}}},
          {"seed", o.seed},
          {"workers", o.workers},
          {"calibration_images", o.calibration_images}};
}

void train_supernet(CheckpointInfo info, const Dataset& train, const Dataset& val,
                    const TrainOptions& options, const TrainFiles& files, Job& job) {
  check_writable(files.out);
  Trainer(std::move(info), train, val, options, files, job).run();
}

}  // namespace dsn

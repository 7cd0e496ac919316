// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "dsn/supernet/trainer.h"

namespace dsn {

std::vector<Evaluation> Trainer::evaluate_ends(const SearchSpace& space) {
  std::vector<Evaluation> results;
  if (rank() == 0) results = evaluate_here(space);
  if (ranks_ != nullptr) ranks_->first_has(fmt::format("evaluated {}", ++evaluations_));
  return results;
}

std::vector<Evaluation> Trainer::evaluate_here(const SearchSpace& space) {
  copy_averaged();
  EvaluateOptions options;
  options.calibration_images = options_.calibration_images;
  options.threads = options_.workers;
  std::vector<SubnetConfig> ends;
  if (options_.subnet) {
    ends = {*options_.subnet};
  } else {
    ends = {in_whole_space(info_.space, space.largest()), in_whole_space(info_.space, space.smallest())};
  }
  return evaluate(averaged_, ends, train_, val_, info_.preprocessing, options, silent_job());
}

void Trainer::put_accuracies(Json& row, const std::vector<Evaluation>& results) {
  if (results.size() == 1) {
    row["accuracy"] = results[0].accuracy();
  } else {
    row["accuracy_largest"] = results[0].accuracy();
    row["accuracy_smallest"] = results[1].accuracy();
  }
}

void Trainer::copy_averaged() {
  torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : averaged_.parameters()) tensor.copy_(optimizer_.averaged().at(name));
  for (auto& [name, tensor] : averaged_.buffers()) tensor.copy_(runner_.buffers().at(name));
}

void Trainer::finish() {
  const auto ends = evaluate_ends(info_.space);
  if (rank() == 0) write_result(ends);
  if (ranks_ == nullptr) return;
  ranks_->first_has("written");
  ranks_->leave();
}

void Trainer::write_result(const std::vector<Evaluation>& ends) {
  // The stored statistics belong to the averaged weights of the largest sub-network, not to the last raw
  // ones.
  torch::NoGradGuard no_grad;
  for (const auto& [name, stats] : ends[0].bn) {
    averaged_.buffers().at(name + ".running_mean").narrow(0, 0, stats.mean.size(0)).copy_(stats.mean);
    averaged_.buffers().at(name + ".running_var").narrow(0, 0, stats.variance.size(0)).copy_(stats.variance);
  }
  Json validation = {{"data", val_.name()}, {"images", val_.size()}, {"origin", "measured"}};
  put_accuracies(validation, ends);
  info_.record = {{"options", options_json()},
                  {"plan", to_json(plan_)},
                  {"train",
                   {{"data", train_.name()},
                    {"epochs_done", at_.epoch},
                    {"images", train_.size()},
                    {"elapsed_s", at_.elapsed_s},
                    {"rollbacks", at_.rollbacks},
                    {"skipped_steps", at_.skipped},
                    {"lr_scale", at_.lr_scale},
                    {"ranks", rank_count()},
                    {"device", device_.str()},
                    {"precision", to_string(options_.precision)}}},
                  {"validation", std::move(validation)},
                  {"curve", at_.curve},
                  {"context", host_context()}};
  if (options_.subnet) info_.record["only_subnet"] = info_.space.to_json(*options_.subnet);
  write_checkpoint(files_.out, info_, averaged_.tensor_views());
  if (at_.epoch >= options_.epochs) fs::remove(state_path_);
}

void Trainer::write_curve() const {
  if (rank() != 0) return;
  std::string lines;
  for (const Json& row : at_.curve) lines += row.dump() + "\n";
  write_file_atomic(files_.curve, lines);
}

void Trainer::save_state() {
  saved_ = Clock::now();
  if (rank() != 0) return;
  std::map<std::string, TensorView> tensors;
  std::vector<torch::Tensor> keep;
  optimizer_.append_state(tensors, keep);
  for (const auto& [name, t] : runner_.buffers()) tensors["buffer/" + name] = host_view(t, keep);
  if (teacher_) {
    for (const auto& [name, t] : teacher_->parameters()) tensors["teacher/" + name] = host_view(t, keep);
  }
  TrainProgress at = at_;
  at.updates = optimizer_.steps();
  at.elapsed_s += seconds_since(started_);
  at.recent_losses = watch_.recent();
  write_train_state(state_path_, at, options_json(), to_json(plan_), info_.space.sha256(), tensors);
  saved_ = Clock::now();
}

void Trainer::resume() {
  Json header;
  if (rank() == 0) {
    const TrainState state = read_train_state(state_path_, options_json(), info_.space.sha256(),
                                              options_.epochs, steps_per_epoch_);
    optimizer_.load_state(state.tensors);
    for (auto& [name, t] : runner_.buffers()) copy_in(t, state.tensors, "buffer/" + name);
    const bool taught = state.tensors.has("teacher/classifier.weight");
    if (taught) {
      set_teacher(net_.parameters());
      for (auto& [name, t] : teacher_->parameters()) copy_in(t, state.tensors, "teacher/" + name);
    }
    header = to_json(state.progress);
    header["teacher"] = taught;
  }
  if (ranks_ != nullptr) {
    header = parse_json(ranks_->share("resume", header.dump()), "rank 0's state");
    for (const torch::Tensor& t : optimizer_.flat_state()) ranks_->broadcast(t);
    for (auto& [name, t] : runner_.buffers()) ranks_->broadcast(t);
    if (header.at("teacher").get<bool>()) {
      if (!teacher_) set_teacher(net_.parameters());
      for (auto& [name, t] : teacher_->parameters()) ranks_->broadcast(t);
    }
  }
  at_ = parse_train_progress(header, state_path_.string(), options_.epochs, steps_per_epoch_);
  optimizer_.set_steps(at_.updates);
  watch_.set_recent(at_.recent_losses);
  job_.info(fmt::format("resuming in epoch {} of {}, step {}", at_.epoch + 1, options_.epochs, at_.step));
}

}  // namespace dsn

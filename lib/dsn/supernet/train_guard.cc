// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <utility>

#include "dsn/core/error.h"
#include "dsn/supernet/trainer.h"

namespace dsn {

void Trainer::take_snapshot() {
  if (!good_.empty() && good_.back().at.epoch == at_.epoch && good_.back().at.step == at_.step) return;
  Good good{optimizer_.snapshot(), {}, teacher_, at_};
  for (const auto& [name, t] : runner_.buffers()) good.buffers[name] = t.clone();
  good.at.recent_losses = watch_.recent();
  good_.push_back(std::move(good));
  // Two: the newest may have been taken when it was already going wrong.
  if (good_.size() > 2) good_.pop_front();
  fell_back_ = false;
}

void Trainer::restore(const Good& good) {
  torch::NoGradGuard no_grad;
  optimizer_.restore(good.weights);
  for (auto& [name, t] : runner_.buffers()) t.copy_(good.buffers.at(name));
  teacher_ = good.teacher;
  const TrainProgress before = std::exchange(at_, good.at);
  at_.lr_scale = before.lr_scale;
  at_.rollbacks = before.rollbacks;
  at_.skipped = before.skipped;
  // Rows of epochs that are undone go, what happened stays.
  at_.curve = Json::array();
  for (const Json& row : before.curve) {
    if (row.contains("event") || row.at("epoch").get<int>() <= at_.epoch) at_.curve.push_back(row);
  }
  watch_.set_recent(good.at.recent_losses);
}

bool Trainer::skip_or_roll_back(const std::string& trouble) {
  const std::string where = fmt::format("epoch {}, step {}", at_.epoch + 1, at_.step + 1);
  Json row = {{"epoch", at_.epoch + 1}, {"step", at_.step + 1}, {"reason", trouble}};
  if (!failed_.insert({at_.epoch, at_.step}).second) {
    row["event"] = "skipped step";
    at_.curve.push_back(std::move(row));
    ++at_.skipped;
    optimizer_.clear_gradients();
    job_.warn(fmt::format("{}: {} again; step left out", where, trouble));
    return true;
  }
  if (fell_back_ && good_.size() > 1) good_.pop_back();
  fell_back_ = true;
  restore(good_.back());
  if (at_.rollbacks >= options_.guard.rollbacks) {
    save_state();
    throw Error(
        ErrorCode::failed,
        fmt::format("training: {} in {}, after {} rollback(s) and with the learning rate at {:.3g} of "
                    "the plan's",
                    trouble, where, at_.rollbacks, at_.lr_scale),
        fmt::format("{} holds the last good state; start anew with a lower --lr, or --resume with more "
                    "--rollbacks",
                    state_path_.string()));
  }
  ++at_.rollbacks;
  at_.lr_scale *= options_.guard.lr_factor;
  row["event"] = "rollback";
  row["back_to"] = {{"epoch", at_.epoch + 1}, {"step", at_.step + 1}};
  row["lr_scale"] = at_.lr_scale;
  at_.curve.push_back(std::move(row));
  job_.warn(fmt::format("{}: {}; back to epoch {}, step {} with the learning rate at {:.3g} of the plan's",
                        where, trouble, at_.epoch + 1, at_.step + 1, at_.lr_scale));
  if (!files_.curve.empty()) write_curve();
  return false;
}

}  // namespace dsn

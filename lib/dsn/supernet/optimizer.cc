// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dsn/core/error.h"

namespace dsn {
namespace {

TensorView view(const torch::Tensor& t) {
  return {DType::f32, t.sizes().vec(),
          std::span(static_cast<const std::byte*>(t.data_ptr()), static_cast<std::size_t>(t.nbytes()))};
}

void copy_in(torch::Tensor& tensor, const TensorFile& file, const std::string& name) {
  const TensorView& source = file.at(name);
  if (source.dtype != DType::f32 || source.shape != tensor.sizes().vec()) {
    throw Error(ErrorCode::mismatch, file.file() + ": " + name + ": found another shape than this space has");
  }
  std::memcpy(tensor.data_ptr(), source.bytes.data(), source.bytes.size());
}

}  // namespace

Optimizer::Optimizer(std::map<std::string, torch::Tensor>& parameters, const SgdOptions& options)
    : parameters_(parameters), options_(options) {
  torch::NoGradGuard no_grad;
  for (auto& [name, parameter] : parameters_) {
    list_.push_back(parameter);
    momentum_list_.push_back(momentum_[name] = torch::zeros_like(parameter));
    decayed_.push_back(parameter.dim() >= 2 && name.find("transform") == std::string::npos);
    if (options_.ema_decay > 0) ema_list_.push_back(ema_[name] = parameter.detach().clone());
  }
}

double Optimizer::step(double learning_rate) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> gradients;
  for (torch::Tensor& p : list_) {
    if (!p.grad().defined()) p.mutable_grad() = torch::zeros_like(p);
    gradients.push_back(p.grad());
  }
  double norm = 0;
  for (const torch::Tensor& n : at::_foreach_norm(gradients)) norm += std::pow(n.item<double>(), 2);
  norm = std::sqrt(norm);
  if (options_.clip_norm > 0 && norm > options_.clip_norm)
    at::_foreach_mul_(gradients, options_.clip_norm / norm);
  for (std::size_t i = 0; i < list_.size(); ++i) {
    if (decayed_[i]) gradients[i].add_(list_[i], options_.weight_decay);
  }
  at::_foreach_mul_(momentum_list_, options_.momentum);
  at::_foreach_add_(momentum_list_, gradients);
  at::_foreach_add_(gradients, momentum_list_, options_.momentum);  // Nesterov look-ahead
  at::_foreach_add_(list_, gradients, -learning_rate);
  at::_foreach_zero_(gradients);
  ++steps_;
  if (options_.ema_decay > 0) {
    // A young average forgets faster, so that it is not weighed down by the first weights.
    const double decay = std::min(options_.ema_decay,
                                  (1.0 + static_cast<double>(steps_)) / (10.0 + static_cast<double>(steps_)));
    at::_foreach_mul_(ema_list_, decay);
    at::_foreach_add_(ema_list_, list_, 1.0 - decay);
  }
  return norm;
}

const std::map<std::string, torch::Tensor>& Optimizer::averaged() const noexcept {
  return options_.ema_decay > 0 ? ema_ : parameters_;
}

void Optimizer::append_state(std::map<std::string, TensorView>& out) const {
  for (const auto& [name, t] : parameters_) out["raw/" + name] = view(t);
  for (const auto& [name, t] : ema_) out["ema/" + name] = view(t);
  for (const auto& [name, t] : momentum_) out["momentum/" + name] = view(t);
}

void Optimizer::load_state(const TensorFile& file, std::int64_t steps) {
  torch::NoGradGuard no_grad;
  for (auto& [name, t] : parameters_) copy_in(t, file, "raw/" + name);
  for (auto& [name, t] : ema_) copy_in(t, file, "ema/" + name);
  for (auto& [name, t] : momentum_) copy_in(t, file, "momentum/" + name);
  steps_ = steps;
}

}  // namespace dsn

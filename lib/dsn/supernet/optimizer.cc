// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dsn/core/error.h"

namespace dsn {

TensorView host_view(const torch::Tensor& tensor, std::vector<torch::Tensor>& keep) {
  keep.push_back(tensor.detach().to(torch::kCPU).contiguous());
  const torch::Tensor& t = keep.back();
  return {DType::f32, t.sizes().vec(),
          std::span(static_cast<const std::byte*>(t.data_ptr()), static_cast<std::size_t>(t.nbytes()))};
}

void copy_in(torch::Tensor tensor, const TensorFile& file, const std::string& name) {
  const TensorView& source = file.at(name);
  if (source.dtype != DType::f32 || source.shape != tensor.sizes().vec()) {
    throw Error(ErrorCode::mismatch, file.file() + ": " + name + ": found another shape than this space has");
  }
  torch::NoGradGuard no_grad;
  const auto values = source.floats();
  tensor.copy_(torch::from_blob(const_cast<float*>(values.data()), tensor.sizes()));
}

FlatLayout::FlatLayout(const std::map<std::string, torch::Tensor>& tensors) {
  constexpr std::int64_t kAlign = 16;
  for (const auto& [name, t] : tensors) {
    places_[name] = {size_, t.sizes().vec()};
    size_ += (t.numel() + kAlign - 1) / kAlign * kAlign;
  }
}

std::map<std::string, torch::Tensor> FlatLayout::views(const torch::Tensor& flat) const {
  std::map<std::string, torch::Tensor> out;
  for (const auto& [name, place] : places_) {
    std::int64_t count = 1;
    for (const std::int64_t n : place.shape) count *= n;
    out[name] = flat.narrow(0, place.offset, count).view(place.shape);
  }
  return out;
}

torch::Tensor attach_gradients(std::map<std::string, torch::Tensor>& parameters, const FlatLayout& layout) {
  const torch::Tensor flat =
      torch::zeros({layout.size() + kStepValues}, parameters.begin()->second.options().requires_grad(false));
  for (auto& [name, view] : layout.views(flat)) parameters.at(name).mutable_grad() = view;
  return flat;
}

Optimizer::Optimizer(std::map<std::string, torch::Tensor>& parameters, const SgdOptions& options)
    : parameters_(parameters), options_(options), layout_(parameters) {
  torch::NoGradGuard no_grad;
  const auto kind = parameters.begin()->second.options().requires_grad(false);
  weights_ = torch::zeros({layout_.size()}, kind);
  decay_ = torch::zeros({layout_.size()}, kind);
  auto decayed = layout_.views(decay_);
  for (auto& [name, view] : layout_.views(weights_)) {
    torch::Tensor& parameter = parameters_.at(name);
    view.copy_(parameter);
    parameter.set_data(view);
    if (parameter.dim() >= 2 && name.find("transform") == std::string::npos)
      decayed.at(name).fill_(options_.weight_decay);
  }
  gradient_buffer_ = attach_gradients(parameters_, layout_);
  gradients_ = gradient_buffer_.narrow(0, 0, layout_.size());
  momentum_ = torch::zeros_like(weights_);
  if (options_.ema_decay > 0) {
    average_ = weights_.clone();
    average_views_ = layout_.views(average_);
  }
}

double Optimizer::gradient_norm() const {
  torch::NoGradGuard no_grad;
  return gradients_.norm().item<double>();
}

void Optimizer::step(double learning_rate, double norm) {
  torch::NoGradGuard no_grad;
  if (options_.clip_norm > 0 && norm > options_.clip_norm) gradients_.mul_(options_.clip_norm / norm);
  if (options_.weight_decay > 0) gradients_.addcmul_(weights_, decay_);
  momentum_.mul_(options_.momentum).add_(gradients_);
  gradients_.add_(momentum_, options_.momentum);  // Nesterov look-ahead
  weights_.add_(gradients_, -learning_rate);
  gradient_buffer_.zero_();
  ++steps_;
  if (options_.ema_decay > 0) {
    // A young average forgets faster, so that it is not weighed down by the first weights.
    const double decay = std::min(options_.ema_decay,
                                  (1.0 + static_cast<double>(steps_)) / (10.0 + static_cast<double>(steps_)));
    average_.mul_(decay).add_(weights_, 1.0 - decay);
  }
}

const std::map<std::string, torch::Tensor>& Optimizer::averaged() const noexcept {
  return options_.ema_decay > 0 ? average_views_ : parameters_;
}

void Optimizer::clear_gradients() {
  torch::NoGradGuard no_grad;
  gradient_buffer_.zero_();
}

void Optimizer::scale_gradients(double factor) {
  torch::NoGradGuard no_grad;
  gradients_.mul_(factor);
}

void Optimizer::restart() {
  torch::NoGradGuard no_grad;
  if (options_.ema_decay > 0) weights_.copy_(average_);
  momentum_.zero_();
  gradient_buffer_.zero_();
  steps_ = 0;
}

void Optimizer::restart_average() {
  torch::NoGradGuard no_grad;
  if (options_.ema_decay > 0) average_.copy_(weights_);
}

std::vector<torch::Tensor> Optimizer::flat_state() const {
  std::vector<torch::Tensor> state{weights_, momentum_};
  if (average_.defined()) state.push_back(average_);
  return state;
}

Optimizer::Snapshot Optimizer::snapshot() const {
  return {weights_.clone(), average_.defined() ? average_.clone() : torch::Tensor(), momentum_.clone(),
          steps_};
}

void Optimizer::restore(const Snapshot& snapshot) {
  torch::NoGradGuard no_grad;
  weights_.copy_(snapshot.weights);
  if (average_.defined()) average_.copy_(snapshot.average);
  momentum_.copy_(snapshot.momentum);
  gradient_buffer_.zero_();
  steps_ = snapshot.steps;
}

void Optimizer::append_state(std::map<std::string, TensorView>& out, std::vector<torch::Tensor>& keep) const {
  const auto append = [&](const std::string& prefix, const torch::Tensor& flat) {
    if (!flat.defined()) return;
    for (const auto& [name, t] : layout_.views(flat)) out[prefix + name] = host_view(t, keep);
  };
  append("raw/", weights_);
  append("ema/", average_);
  append("momentum/", momentum_);
}

void Optimizer::load_state(const TensorFile& file) {
  const auto load = [&](const std::string& prefix, const torch::Tensor& flat) {
    if (!flat.defined()) return;
    for (auto& [name, t] : layout_.views(flat)) copy_in(t, file, prefix + name);
  };
  load("raw/", weights_);
  load("ema/", average_);
  load("momentum/", momentum_);
}

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/supernet.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>

#include "dsn/core/error.h"

namespace dsn {
namespace {

std::string transform_name(int block, int from, int to) {
  return fmt::format("blocks.{}.depth.transform_{}to{}", block, from, to);
}

torch::Tensor as_tensor(const std::vector<float>& values) {
  return torch::from_blob(const_cast<float*>(values.data()), {static_cast<std::int64_t>(values.size())},
                          torch::kFloat32)
      .clone();
}

std::vector<float> as_vector(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

}  // namespace

Supernet::Supernet(SearchSpace space, std::uint64_t seed) : space_(std::move(space)) {
  Rng rng = Rng::stream(seed, "supernet weights");
  declare(&rng);
}

Supernet::Supernet(SearchSpace space, const TensorFile& checkpoint) : space_(std::move(space)) {
  declare(nullptr);
  const auto fill = [&](std::map<std::string, torch::Tensor>& tensors) {
    for (auto& [name, tensor] : tensors) {
      const TensorView& view = checkpoint.at(name);
      if (view.dtype != DType::f32 || view.shape != tensor.sizes().vec()) {
        throw Error(ErrorCode::mismatch,
                    fmt::format("{}: {}: found shape [{}], expected float32 [{}] for space {}",
                                checkpoint.file(), name, fmt::join(view.shape, ", "),
                                fmt::join(tensor.sizes().vec(), ", "), space_.name()),
                    "the checkpoint was trained for another search space or width multiplier");
      }
      torch::NoGradGuard no_grad;
      std::memcpy(tensor.data_ptr<float>(), view.bytes.data(), view.bytes.size());
    }
  };
  fill(parameters_);
  fill(buffers_);
}

Supernet Supernet::replica() const {
  Supernet other(space_);
  for (const auto& [name, tensor] : parameters_) other.parameters_[name] = tensor.detach().requires_grad_();
  for (const auto& [name, tensor] : buffers_) other.buffers_[name] = tensor.clone();
  other.device_ = device_;
  return other;
}

void Supernet::add_conv(const std::string& name, std::vector<std::int64_t> shape, Rng* rng) {
  torch::Tensor tensor = torch::empty(shape);
  if (rng != nullptr) {
    // He initialisation by fan out, as in the MobileNet papers' code; linear layers use a small constant
    // deviation.
    const double fan_out =
        static_cast<double>(shape[0]) * (shape.size() == 4 ? static_cast<double>(shape[2] * shape[3]) : 1.0);
    const bool depthwise = shape.size() == 4 && shape[1] == 1 && name.find("depth") != std::string::npos;
    const double deviation =
        shape.size() == 2 ? 0.01
                          : std::sqrt(2.0 / (depthwise ? fan_out / static_cast<double>(shape[0]) : fan_out));
    float* data = tensor.data_ptr<float>();
    for (std::int64_t i = 0; i < tensor.numel(); ++i) data[i] = static_cast<float>(rng->normal() * deviation);
  }
  parameters_[name] = tensor.requires_grad_();
}

void Supernet::add_bn(const std::string& name, std::int64_t channels, double gamma) {
  parameters_[name + ".weight"] = torch::full({channels}, gamma).requires_grad_();
  parameters_[name + ".bias"] = torch::zeros({channels}).requires_grad_();
  buffers_[name + ".running_mean"] = torch::zeros({channels});
  buffers_[name + ".running_var"] = torch::ones({channels});
}

void Supernet::declare(Rng* rng) {
  for (const Unit& unit : make_network(space_, space_.largest()).units) {
    const std::int64_t in = unit.in_channels, mid = unit.mid_channels, out = unit.out_channels,
                       k = unit.kernel;
    const std::string name = unit.name();
    switch (unit.kind) {
      case UnitKind::stem:
      case UnitKind::stem_residual:  // with a gamma of zero, relu would never let it learn
      case UnitKind::stem_pool:
        add_conv(name + ".conv.weight", {out, in, k, k}, rng);
        add_bn(name + ".bn", out, 1.0);
        break;
      case UnitKind::bottleneck:
        add_conv(name + ".conv1.conv.weight", {mid, in, 1, 1}, rng);
        add_bn(name + ".conv1.bn", mid, 1.0);
        add_conv(name + ".conv2.conv.weight", {mid, mid, k, k}, rng);
        add_bn(name + ".conv2.bn", mid, 1.0);
        add_conv(name + ".conv3.conv.weight", {out, mid, 1, 1}, rng);
        add_bn(name + ".conv3.bn", out, 0.0);  // starts as its shortcut, as residual MBConv blocks do
        if (!unit.residual) {
          add_conv(name + ".shortcut.conv.weight", {out, in, 1, 1}, rng);
          add_bn(name + ".shortcut.bn", out, 1.0);
        }
        break;
      case UnitKind::mbconv: {
        if (unit.expands) {
          add_conv(name + ".expand.conv.weight", {mid, in, 1, 1}, rng);
          add_bn(name + ".expand.bn", mid, 1.0);
        }
        add_conv(name + ".depth.conv.weight", {mid, 1, k, k}, rng);
        add_bn(name + ".depth.bn", mid, 1.0);
        if (unit.block >= 0) {
          const auto& kernels = space_.stages()[static_cast<std::size_t>(space_.stage_of(unit.block))].kernel;
          for (std::size_t i = kernels.size(); i-- > 1;) {
            const int to = kernels[i - 1];
            parameters_[transform_name(unit.block, kernels[i], to)] = torch::eye(to * to).requires_grad_();
          }
        }
        if (unit.se_channels > 0) {
          const std::int64_t se = unit.se_channels;
          add_conv(name + ".se.reduce.weight", {se, mid, 1, 1}, rng);
          parameters_[name + ".se.reduce.bias"] = torch::zeros({se}).requires_grad_();
          add_conv(name + ".se.expand.weight", {mid, se, 1, 1}, rng);
          parameters_[name + ".se.expand.bias"] = torch::zeros({mid}).requires_grad_();
        }
        add_conv(name + ".project.conv.weight", {out, mid, 1, 1}, rng);
        // A residual block starts as the identity (Goyal et al. 2017, arXiv:1706.02677).
        add_bn(name + ".project.bn", out, unit.residual ? 0.0 : 1.0);
        break;
      }
      case UnitKind::final_expand:
        add_conv(name + ".conv.weight", {out, in, 1, 1}, rng);
        add_bn(name + ".bn", out, 1.0);
        break;
      case UnitKind::feature_mix:
        add_conv(name + ".weight", {out, in, 1, 1}, rng);
        break;
      case UnitKind::classifier:
        add_conv(name + ".weight", {out, in}, rng);
        parameters_[name + ".bias"] = torch::zeros({out}).requires_grad_();
        break;
    }
  }
}

torch::Tensor Supernet::weight(const std::string& name, std::int64_t out, std::int64_t in) const {
  torch::Tensor weight = parameters_.at(name);
  if (weight.size(0) != out) weight = weight.narrow(0, 0, out);
  if (weight.size(1) != in) weight = weight.narrow(1, 0, in).contiguous();
  return weight;
}

torch::Tensor Supernet::depthwise_weight(int block, int channels, int kernel) const {
  const std::string name = block < 0 ? "first" : fmt::format("blocks.{}", block);
  torch::Tensor weight = parameters_.at(name + ".depth.conv.weight").narrow(0, 0, channels);
  if (block < 0) return weight;
  const auto& kernels = space_.stages()[static_cast<std::size_t>(space_.stage_of(block))].kernel;
  for (std::size_t i = kernels.size(); i-- > 1 && kernels[i] > kernel;) {
    const int from = kernels[i], to = kernels[i - 1], margin = (from - to) / 2;
    const torch::Tensor centre =
        weight.narrow(2, margin, to).narrow(3, margin, to).reshape({channels, to * to});
    weight =
        torch::linear(centre, parameters_.at(transform_name(block, from, to))).reshape({channels, 1, to, to});
  }
  return weight;
}

torch::Tensor Supernet::sort_between(const std::vector<std::string>& producers, const std::string& consumer) {
  torch::Tensor& weight = parameters_.at(consumer + ".conv.weight");
  const torch::Tensor importance = weight.abs().sum({0, 2, 3});
  const torch::Tensor order = std::get<1>(torch::sort(importance, /*stable=*/true, 0, /*descending=*/true));
  const auto permute = [&](torch::Tensor& tensor, int dim) { tensor.copy_(tensor.index_select(dim, order)); };
  permute(weight, 1);
  for (const std::string& layer : producers) {
    for (const char* part : {".conv.weight", ".bn.weight", ".bn.bias"})
      permute(parameters_.at(layer + part), 0);
    for (const char* part : {".bn.running_mean", ".bn.running_var"}) permute(buffers_.at(layer + part), 0);
  }
  return order;
}

void Supernet::sort_channels() {
  torch::NoGradGuard no_grad;
  for (const Unit& unit : make_network(space_, space_.largest()).units) {
    const std::string name = unit.name();
    if (unit.kind == UnitKind::bottleneck) {
      sort_between({name + ".conv2"}, name + ".conv3");
      sort_between({name + ".conv1"}, name + ".conv2");
    } else if (unit.kind == UnitKind::mbconv && unit.expands) {
      const torch::Tensor order = sort_between({name + ".expand", name + ".depth"}, name + ".project");
      if (unit.se_channels == 0) continue;
      for (const auto& [part, dim] :
           {std::pair{".se.reduce.weight", 1}, {".se.expand.weight", 0}, {".se.expand.bias", 0}}) {
        torch::Tensor& tensor = parameters_.at(name + part);
        tensor.copy_(tensor.index_select(dim, order));
      }
    }
  }
}

std::map<std::string, TensorView> Supernet::tensor_views() const {
  std::map<std::string, TensorView> views;
  for (const auto* tensors : {&parameters_, &buffers_}) {
    for (const auto& [name, tensor] : *tensors) {
      const std::span data(static_cast<const std::byte*>(tensor.data_ptr()),
                           static_cast<std::size_t>(tensor.nbytes()));
      views[name] = {DType::f32, tensor.sizes().vec(), data};
    }
  }
  return views;
}

void Supernet::to(torch::Device device) {
  torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : parameters_) tensor = tensor.detach().to(device).requires_grad_();
  for (auto& [name, tensor] : buffers_) tensor = tensor.to(device);
  device_ = device;
}

BnStats to_bn_stats(const BnTensorMap& tensors) {
  BnStats stats;
  for (const auto& [name, t] : tensors) stats[name] = {as_vector(t.mean), as_vector(t.variance)};
  return stats;
}

BnTensorMap to_bn_tensors(const BnStats& stats) {
  BnTensorMap tensors;
  for (const auto& [name, s] : stats) tensors[name] = {as_tensor(s.mean), as_tensor(s.variance)};
  return tensors;
}

}  // namespace dsn

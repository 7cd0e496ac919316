// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/supernet.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>

#include "dsn/core/error.h"

namespace dsn {
namespace {

constexpr double kBnMomentum = 0.1;

std::string block_name(int block) {
  return block < 0 ? "first" : fmt::format("blocks.{}", block);
}

std::string transform_name(int block, int from, int to) {
  return fmt::format("{}.depth.transform_{}to{}", block_name(block), from, to);
}

torch::Tensor activate(torch::Tensor x, Activation act) {
  switch (act) {
    case Activation::none:
      return x;
    case Activation::relu:
      return torch::relu(x);
    case Activation::hswish:
      return torch::hardswish(x);
  }
  return x;
}

torch::Tensor as_tensor(const std::vector<float>& values) {
  return torch::from_blob(const_cast<float*>(values.data()), {static_cast<std::int64_t>(values.size())},
                          torch::kFloat32)
      .clone();
}

// 0 with probability `rate`, else 1 / (1 - rate), from a generator of its own.
torch::Tensor keep_mask(const torch::Tensor& like, double rate, std::uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  const torch::Tensor mask = torch::empty(like.sizes()).bernoulli_(1.0 - rate, generator).div_(1.0 - rate);
  return mask.to(like.device());
}

std::vector<float> as_vector(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

}  // namespace

// One forward pass: the weights to slice, what batch norm does, and where calibration collects.
struct Supernet::Pass {
  Supernet& net;
  BnMode mode;
  const BnTensorMap* stats;
  BnTensorMap* collect;  // when calibrating: receives this batch's statistics

  const torch::Tensor& weight(const std::string& name) const { return net.parameters_.at(name); }

  torch::Tensor norm(const torch::Tensor& x, const std::string& name) const {
    const std::int64_t channels = x.size(1);
    const torch::Tensor gamma = weight(name + ".weight").narrow(0, 0, channels);
    const torch::Tensor beta = weight(name + ".bias").narrow(0, 0, channels);
    const double eps = net.space_.bn_eps();
    if (collect != nullptr) {
      auto [y, mean, inv_std] = torch::native_batch_norm(x, gamma, beta, {}, {}, true, 0.0, eps);
      (*collect)[name] = {mean, inv_std.pow(-2) - eps};
      return y;
    }
    if (mode == BnMode::stored) {
      if (stats != nullptr) {
        if (const auto it = stats->find(name); it != stats->end()) {
          return torch::batch_norm(x, gamma, beta, it->second.mean, it->second.variance, false, 0.0, eps,
                                   false);
        }
      }
      return torch::batch_norm(x, gamma, beta, net.buffers_.at(name + ".running_mean").narrow(0, 0, channels),
                               net.buffers_.at(name + ".running_var").narrow(0, 0, channels), false, 0.0, eps,
                               false);
    }
    if (mode == BnMode::batch_update) {
      return torch::batch_norm(x, gamma, beta, net.buffers_.at(name + ".running_mean").narrow(0, 0, channels),
                               net.buffers_.at(name + ".running_var").narrow(0, 0, channels), true,
                               kBnMomentum, eps, false);
    }
    return torch::batch_norm(x, gamma, beta, {}, {}, true, 0.0, eps, false);
  }

  torch::Tensor squeeze_excite(const torch::Tensor& x, const std::string& name, const Unit& unit) const {
    const torch::Tensor pooled = x.mean({2, 3}, true);
    const auto part = [&](const char* half, std::int64_t out, std::int64_t in, const torch::Tensor& input) {
      const std::string base = fmt::format("{}.se.{}", name, half);
      return torch::conv2d(input, weight(base + ".weight").narrow(0, 0, out).narrow(1, 0, in),
                           weight(base + ".bias").narrow(0, 0, out));
    };
    const torch::Tensor hidden = torch::relu(part("reduce", unit.se_channels, unit.mid_channels, pooled));
    return x * torch::hardsigmoid(part("expand", unit.mid_channels, unit.se_channels, hidden));
  }

  torch::Tensor mbconv(const torch::Tensor& input, const Unit& unit) const {
    const std::string name = block_name(unit.block);
    torch::Tensor x = input;
    if (unit.expands) {
      x = torch::conv2d(x, weight(name + ".expand.conv.weight").narrow(0, 0, unit.mid_channels));
      x = activate(norm(x, name + ".expand.bn"), unit.act);
    }
    x = torch::conv2d(x, net.depthwise_weight(unit.block, unit.mid_channels, unit.kernel), {}, unit.stride,
                      unit.kernel / 2, 1, unit.mid_channels);
    x = activate(norm(x, name + ".depth.bn"), unit.act);
    if (unit.se_channels > 0) x = squeeze_excite(x, name, unit);
    x = torch::conv2d(x, weight(name + ".project.conv.weight").narrow(1, 0, unit.mid_channels).contiguous());
    x = norm(x, name + ".project.bn");
    return unit.residual ? x + input : x;
  }

  torch::Tensor run(torch::Tensor x, const Network& network, double dropout,
                    std::uint64_t dropout_seed) const {
    for (const Unit& unit : network.units) {
      switch (unit.kind) {
        case UnitKind::stem:
          x = torch::conv2d(x, weight("stem.conv.weight"), {}, unit.stride, 1)
                  .contiguous(torch::MemoryFormat::ChannelsLast);
          x = activate(norm(x, "stem.bn"), unit.act);
          break;
        case UnitKind::mbconv:
          x = mbconv(x, unit);
          break;
        case UnitKind::final_expand:
          x = activate(norm(torch::conv2d(x, weight("final_expand.conv.weight")), "final_expand.bn"),
                       unit.act);
          break;
        case UnitKind::feature_mix:
          x = activate(torch::conv2d(x.mean({2, 3}, true), weight("feature_mix.weight")), unit.act);
          break;
        case UnitKind::classifier:
          x = unit.in_size > 1 ? x.mean({2, 3}) : x.flatten(1);
          if (dropout > 0) x = x * keep_mask(x, dropout, dropout_seed);
          x = torch::linear(x, weight("classifier.weight"), weight("classifier.bias"));
          break;
      }
    }
    return x;
  }
};

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
    switch (unit.kind) {
      case UnitKind::stem:
        add_conv("stem.conv.weight", {out, in, k, k}, rng);
        add_bn("stem.bn", out, 1.0);
        break;
      case UnitKind::mbconv: {
        const std::string name = block_name(unit.block);
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
        add_conv("final_expand.conv.weight", {out, in, 1, 1}, rng);
        add_bn("final_expand.bn", out, 1.0);
        break;
      case UnitKind::feature_mix:
        add_conv("feature_mix.weight", {out, in, 1, 1}, rng);
        break;
      case UnitKind::classifier:
        add_conv("classifier.weight", {out, in}, rng);
        parameters_["classifier.bias"] = torch::zeros({out}).requires_grad_();
        break;
    }
  }
}

torch::Tensor Supernet::depthwise_weight(int block, int channels, int kernel) const {
  torch::Tensor weight = parameters_.at(block_name(block) + ".depth.conv.weight").narrow(0, 0, channels);
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

torch::Tensor Supernet::forward(const torch::Tensor& x, const SubnetConfig& config, BnMode mode,
                                const BnTensorMap* stats, double dropout, std::uint64_t dropout_seed) {
  return Pass{*this, mode, stats, nullptr}.run(x, make_network(space_, config), dropout, dropout_seed);
}

BnTensorMap Supernet::calibrate(const std::vector<torch::Tensor>& batches, const SubnetConfig& config) {
  torch::NoGradGuard no_grad;
  const Network network = make_network(space_, config);
  BnTensorMap sum;
  double images = 0;
  for (const torch::Tensor& batch : batches) {
    BnTensorMap one;
    Pass{*this, BnMode::batch, nullptr, &one}.run(batch, network, 0.0, 0);
    const auto n = static_cast<double>(batch.size(0));
    for (auto& [name, stats] : one) {
      BnTensors& total = sum[name];
      total.mean = total.mean.defined() ? total.mean + stats.mean * n : stats.mean * n;
      total.variance = total.variance.defined() ? total.variance + stats.variance * n : stats.variance * n;
    }
    images += n;
  }
  if (images == 0) throw Error(ErrorCode::bad_usage, "calibration needs at least one image");
  for (auto& [name, stats] : sum) {
    stats.mean = stats.mean / images;
    stats.variance = stats.variance / images;
  }
  return sum;
}

void Supernet::sort_channels() {
  torch::NoGradGuard no_grad;
  for (const Unit& unit : make_network(space_, space_.largest()).units) {
    if (unit.kind != UnitKind::mbconv || unit.block < 0) continue;
    const std::string name = block_name(unit.block);
    const torch::Tensor importance = parameters_.at(name + ".project.conv.weight").abs().sum({0, 2, 3});
    const torch::Tensor order = std::get<1>(torch::sort(importance, /*stable=*/true, 0, /*descending=*/true));
    const auto permute = [&](torch::Tensor& tensor, int dim) {
      tensor.copy_(tensor.index_select(dim, order));
    };
    for (const char* layer : {".expand", ".depth"}) {
      permute(parameters_.at(name + layer + ".conv.weight"), 0);
      for (const char* part : {".bn.weight", ".bn.bias"}) permute(parameters_.at(name + layer + part), 0);
      for (const char* part : {".bn.running_mean", ".bn.running_var"})
        permute(buffers_.at(name + layer + part), 0);
    }
    permute(parameters_.at(name + ".project.conv.weight"), 1);
    if (unit.se_channels > 0) {
      permute(parameters_.at(name + ".se.reduce.weight"), 1);
      permute(parameters_.at(name + ".se.expand.weight"), 0);
      permute(parameters_.at(name + ".se.expand.bias"), 0);
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

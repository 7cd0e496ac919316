// SPDX-License-Identifier: Apache-2.0
// Forward passes of the super-network: slicing the shared weights for one sub-network, and what batch norm
// does.
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include "dsn/core/error.h"
#include "dsn/supernet/bn_act.h"
#include "dsn/supernet/depthwise.h"
#include "dsn/supernet/own_statistics.h"
#include "dsn/supernet/supernet.h"

namespace dsn {
namespace {

constexpr double kBnMomentum = 0.1;

torch::Tensor activate(const torch::Tensor& x, Activation act) {
  switch (act) {
    case Activation::none:
      return x;
    case Activation::relu:
      return torch::relu(x);
    case Activation::relu6:
      return torch::relu6(x);
    case Activation::hswish:
      return torch::hardswish(x);
  }
  return x;
}

// 0 with probability `rate`, else 1 / (1 - rate), from a generator of its own.
torch::Tensor keep_mask(const torch::Tensor& like, double rate, std::uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  const torch::Tensor mask = torch::empty(like.sizes()).bernoulli_(1.0 - rate, generator).div_(1.0 - rate);
  return mask.to(like.device());
}

}  // namespace

// One forward pass: the weights to slice, what batch norm does, and where calibration collects.
struct Supernet::Pass {
  Supernet& net;
  BnMode mode;
  const BnTensorMap* stats;
  BnTensorMap* collect;  // when calibrating: receives this batch's statistics

  const torch::Tensor& parameter(const std::string& name) const { return net.parameters_.at(name); }

  torch::Tensor norm(const torch::Tensor& x, const std::string& name) const {
    const std::int64_t channels = x.size(1);
    const torch::Tensor gamma = parameter(name + ".weight").narrow(0, 0, channels);
    const torch::Tensor beta = parameter(name + ".bias").narrow(0, 0, channels);
    const double eps = net.space_.bn_eps();
    if (collect != nullptr) {
      // From the values themselves: native_batch_norm's inverse deviation, taken back, loses what is small
      // beside eps.
      const torch::Tensor mean = x.mean({0, 2, 3});
      const torch::Tensor variance = (x - mean.view({1, channels, 1, 1})).square_().mean({0, 2, 3});
      (*collect)[name] = {mean, variance};
      return torch::batch_norm(x, gamma, beta, mean, variance, false, 0.0, eps, false);
    }
    if (mode == BnMode::stored) {
      if (stats != nullptr) {
        const BnTensors& own = require_statistics(*stats, name, channels);
        return torch::batch_norm(x, gamma, beta, own.mean, own.variance, false, 0.0, eps, false);
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

  // Batch norm, activation, and the residual where there is one.
  torch::Tensor norm_act(const torch::Tensor& x, const std::string& name, Activation act,
                         const torch::Tensor& residual = {}) const {
    if (collect == nullptr && mode != BnMode::stored && takes_batch_norm_act(x, act)) {
      const std::int64_t channels = x.size(1);
      BnActSettings settings{act, net.space_.bn_eps(), kBnMomentum};
      if (mode == BnMode::batch_update) {
        settings.running_mean = net.buffers_.at(name + ".running_mean").narrow(0, 0, channels);
        settings.running_var = net.buffers_.at(name + ".running_var").narrow(0, 0, channels);
      }
      return batch_norm_act(x, parameter(name + ".weight").narrow(0, 0, channels),
                            parameter(name + ".bias").narrow(0, 0, channels), residual, settings);
    }
    const torch::Tensor y = activate(norm(x, name), act);
    return residual.defined() ? y + residual : y;
  }

  // Convolution with "same" padding, with the first channels of its weight, batch norm and what follows it.
  torch::Tensor conv_norm(const torch::Tensor& x, const std::string& name, std::int64_t out, int kernel = 1,
                          int stride = 1, Activation act = Activation::none,
                          const torch::Tensor& residual = {}) const {
    const torch::Tensor weight = net.weight(name + ".conv.weight", out, x.size(1));
    return norm_act(torch::conv2d(x, weight, {}, stride, kernel / 2), name + ".bn", act, residual);
  }

  torch::Tensor squeeze_excite(const torch::Tensor& x, const std::string& name, const Unit& unit) const {
    const auto part = [&](const std::string& half, std::int64_t out, const torch::Tensor& input) {
      return torch::conv2d(input, net.weight(half + ".weight", out, input.size(1)),
                           parameter(half + ".bias").narrow(0, 0, out));
    };
    const torch::Tensor hidden =
        torch::relu(part(name + ".se.reduce", unit.se_channels, x.mean({2, 3}, true)));
    return x * torch::hardsigmoid(part(name + ".se.expand", unit.mid_channels, hidden));
  }

  torch::Tensor mbconv(const torch::Tensor& input, const Unit& unit) const {
    const std::string name = unit.name();
    torch::Tensor x = input;
    if (unit.expands) x = conv_norm(x, name + ".expand", unit.mid_channels, 1, 1, unit.act);
    x = depthwise_conv2d(x, net.depthwise_weight(unit.block, unit.mid_channels, unit.kernel), unit.stride);
    x = norm_act(x, name + ".depth.bn", unit.act);
    if (unit.se_channels > 0) x = squeeze_excite(x, name, unit);
    return conv_norm(x, name + ".project", unit.out_channels, 1, 1, Activation::none,
                     unit.residual ? input : torch::Tensor());
  }

  torch::Tensor bottleneck(const torch::Tensor& input, const Unit& unit) const {
    const std::string name = unit.name();
    torch::Tensor x = conv_norm(input, name + ".conv1", unit.mid_channels, 1, 1, unit.act);
    x = conv_norm(x, name + ".conv2", unit.mid_channels, unit.kernel, unit.stride, unit.act);
    x = conv_norm(x, name + ".conv3", unit.out_channels);
    if (unit.residual) return activate(x + input, unit.act);
    const torch::Tensor averaged =
        unit.stride == 1 ? input : torch::avg_pool2d(input, unit.stride, unit.stride, 0, /*ceil_mode=*/true);
    return activate(x + conv_norm(averaged, name + ".shortcut", unit.out_channels), unit.act);
  }

  torch::Tensor run(torch::Tensor x, const Network& network, double dropout,
                    std::uint64_t dropout_seed) const {
    for (const Unit& unit : network.units) {
      const std::string name = unit.name();
      switch (unit.kind) {
        case UnitKind::stem:
          x = torch::conv2d(x, net.weight(name + ".conv.weight", unit.out_channels, unit.in_channels), {},
                            unit.stride, unit.kernel / 2)
                  .contiguous(torch::MemoryFormat::ChannelsLast);
          x = norm_act(x, name + ".bn", unit.act);
          break;
        case UnitKind::stem_residual:
          x = x + conv_norm(x, name, unit.out_channels, unit.kernel, 1, unit.act);
          break;
        case UnitKind::stem_pool:
          x = conv_norm(x, name, unit.out_channels, unit.kernel, 1, unit.act);
          x = torch::max_pool2d(x, 3, 2, 1);
          break;
        case UnitKind::mbconv:
          x = mbconv(x, unit);
          break;
        case UnitKind::bottleneck:
          x = bottleneck(x, unit);
          break;
        case UnitKind::final_expand:
          x = conv_norm(x, name, unit.out_channels, 1, 1, unit.act);
          break;
        case UnitKind::feature_mix:
          x = torch::conv2d(x.mean({2, 3}, true),
                            net.weight(name + ".weight", unit.out_channels, unit.in_channels));
          x = activate(x, unit.act);
          break;
        case UnitKind::classifier:
          x = unit.in_size > 1 ? x.mean({2, 3}) : x.flatten(1);
          if (dropout > 0) x = x * keep_mask(x, dropout, dropout_seed);
          x = torch::linear(x, net.weight(name + ".weight", unit.out_channels, unit.in_channels),
                            parameter(name + ".bias"));
          break;
      }
    }
    return x;
  }
};

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

}  // namespace dsn

// SPDX-License-Identifier: Apache-2.0
#include "dsn/engine/torch_executor.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <optional>

#include "dsn/core/error.h"
#include "dsn/engine/executor.h"
#include "dsn/supernet/supernet.h"
#include "dsn/supernet/torch_threads.h"

namespace dsn {
namespace {

// A convolution with the batch norm that follows it folded in.
struct Folded {
  torch::Tensor weight, bias;
};

// What one unit computes with; undefined where a unit has no such part.
struct UnitWeights {
  Folded expand, depth, project;  // project also serves stem, final_expand, feature_mix and classifier
  torch::Tensor se_reduce_weight, se_reduce_bias, se_expand_weight, se_expand_bias;
};

torch::Tensor activate(torch::Tensor x, Activation act) {
  switch (act) {
    case Activation::none:
      return x;
    case Activation::relu:
      return torch::relu_(x);
    case Activation::hswish:
      return torch::hardswish_(x);
  }
  return x;
}

// One level: its own folded copy of the weights, so that activating it is a change of index and an inference
// runs the fewest operations. LibTorch has no convolution over weight slices; the elastic executor is where
// weights are shared at run time.
struct PreparedLevel {
  Network network;
  std::vector<UnitWeights> units;
};

class LevelBuilder {
 public:
  LevelBuilder(Supernet& net, const BnStats& bn) : net_(net), bn_(to_bn_tensors(bn)) {}

  PreparedLevel build(const SubnetConfig& config) const {
    torch::NoGradGuard no_grad;
    PreparedLevel level{make_network(net_.space(), config), {}};
    for (const Unit& unit : level.network.units) level.units.push_back(weights_of(unit));
    return level;
  }

 private:
  torch::Tensor parameter(const std::string& name) const { return net_.parameters().at(name).detach(); }

  Folded fold(torch::Tensor weight, const std::string& bn) const {
    const std::int64_t channels = weight.size(0);
    torch::Tensor mean = net_.buffers().at(bn + ".running_mean").narrow(0, 0, channels);
    torch::Tensor variance = net_.buffers().at(bn + ".running_var").narrow(0, 0, channels);
    if (const auto it = bn_.find(bn); it != bn_.end()) {
      if (it->second.mean.size(0) != channels) {
        throw Error(ErrorCode::mismatch,
                    fmt::format("batch-norm statistics of {}: found {} channels, expected {}", bn,
                                it->second.mean.size(0), channels),
                    "calibrate this level again");
      }
      mean = it->second.mean;
      variance = it->second.variance;
    }
    const torch::Tensor scale =
        parameter(bn + ".weight").narrow(0, 0, channels) / torch::sqrt(variance + net_.space().bn_eps());
    return {(weight * scale.view({-1, 1, 1, 1})).contiguous(),
            (parameter(bn + ".bias").narrow(0, 0, channels) - mean * scale).contiguous()};
  }

  UnitWeights weights_of(const Unit& unit) const {
    UnitWeights w;
    switch (unit.kind) {
      case UnitKind::stem:
        w.project = fold(parameter("stem.conv.weight"), "stem.bn");
        break;
      case UnitKind::final_expand:
        w.project = fold(parameter("final_expand.conv.weight"), "final_expand.bn");
        break;
      case UnitKind::feature_mix:
        w.project.weight = parameter("feature_mix.weight").clone();
        break;
      case UnitKind::classifier:
        w.project = {parameter("classifier.weight").clone(), parameter("classifier.bias").clone()};
        break;
      case UnitKind::mbconv: {
        const std::string name = unit.block < 0 ? "first" : fmt::format("blocks.{}", unit.block);
        const std::int64_t mid = unit.mid_channels, se = unit.se_channels;
        if (unit.expands)
          w.expand = fold(parameter(name + ".expand.conv.weight").narrow(0, 0, mid), name + ".expand.bn");
        w.depth = fold(net_.depthwise_weight(unit.block, unit.mid_channels, unit.kernel).detach(),
                       name + ".depth.bn");
        w.project = fold(parameter(name + ".project.conv.weight").narrow(1, 0, mid), name + ".project.bn");
        if (se > 0) {
          w.se_reduce_weight =
              parameter(name + ".se.reduce.weight").narrow(0, 0, se).narrow(1, 0, mid).clone();
          w.se_reduce_bias = parameter(name + ".se.reduce.bias").narrow(0, 0, se).clone();
          w.se_expand_weight =
              parameter(name + ".se.expand.weight").narrow(0, 0, mid).narrow(1, 0, se).clone();
          w.se_expand_bias = parameter(name + ".se.expand.bias").narrow(0, 0, mid).clone();
        }
        break;
      }
    }
    return w;
  }

  Supernet& net_;
  BnTensorMap bn_;
};

torch::Tensor run_mbconv(const torch::Tensor& input, const Unit& unit, const UnitWeights& w) {
  torch::Tensor x = input;
  if (unit.expands) x = activate(torch::conv2d(x, w.expand.weight, w.expand.bias), unit.act);
  x = activate(
      torch::conv2d(x, w.depth.weight, w.depth.bias, unit.stride, unit.kernel / 2, 1, unit.mid_channels),
      unit.act);
  if (unit.se_channels > 0) {
    const torch::Tensor hidden =
        torch::conv2d(x.mean({2, 3}, true), w.se_reduce_weight, w.se_reduce_bias).relu_();
    x.mul_(torch::hardsigmoid(torch::conv2d(hidden, w.se_expand_weight, w.se_expand_bias)));
  }
  x = torch::conv2d(x, w.project.weight, w.project.bias);
  return unit.residual ? x.add_(input) : x;
}

torch::Tensor run_unit(const torch::Tensor& x, const Unit& unit, const UnitWeights& w) {
  switch (unit.kind) {
    case UnitKind::stem:
      return activate(torch::conv2d(x, w.project.weight, w.project.bias, unit.stride, 1), unit.act);
    case UnitKind::mbconv:
      return run_mbconv(x, unit, w);
    case UnitKind::final_expand:
      return activate(torch::conv2d(x, w.project.weight, w.project.bias), unit.act);
    case UnitKind::feature_mix:
      return activate(torch::conv2d(x.mean({2, 3}, true), w.project.weight), unit.act);
    case UnitKind::classifier:
      return torch::linear(unit.in_size > 1 ? x.mean({2, 3}) : x.flatten(1), w.project.weight,
                           w.project.bias);
  }
  return x;
}

class TorchExecutor : public Executor {
 public:
  TorchExecutor(const SearchSpace& space, const TensorFile& weights, const std::string& device)
      : net_(space, weights), device_(parse_device(device)) {}

  [[nodiscard]] std::string_view name() const noexcept override { return "torch"; }

  void prepare(std::vector<LevelSpec> levels) override {
    std::vector<PreparedLevel> prepared;
    for (const LevelSpec& level : levels) {
      prepared.push_back(LevelBuilder(net_, level.bn).build(level.config));
      if (device_.is_cuda()) move(prepared.back());
    }
    levels_ = std::move(prepared);
    active_.reset();
  }

  void activate(std::size_t index) override {
    if (index >= levels_.size()) {
      throw Error(ErrorCode::bad_usage,
                  fmt::format("level {} was not prepared: there are {}", index, levels_.size()));
    }
    active_ = index;
  }

  [[nodiscard]] const Network& network() const override { return active().network; }

  void set_threads(int threads) override { threads_ = threads; }

  void infer(std::span<const float> input, int batch, std::span<float> logits,
             const UnitObserver* observer) override {
    const PreparedLevel& level = active();
    const Network& net = level.network;
    const auto image = static_cast<std::size_t>(net.in_channels * net.resolution * net.resolution);
    if (batch < 1 || input.size() != image * static_cast<std::size_t>(batch) ||
        logits.size() != static_cast<std::size_t>(net.classes * batch)) {
      throw Error(ErrorCode::bad_usage,
                  fmt::format("inference: found {} inputs and {} logits, expected {} and {} for batch {}",
                              input.size(), logits.size(), image * static_cast<std::size_t>(batch),
                              net.classes * batch, batch));
    }
    if (applied_threads_ != threads_) set_torch_threads(applied_threads_ = threads_);
    const c10::InferenceMode inference;
    torch::Tensor x = torch::from_blob(const_cast<float*>(input.data()),
                                       {batch, net.in_channels, net.resolution, net.resolution});
    if (device_.is_cuda()) x = x.to(device_);
    for (std::size_t i = 0; i < net.units.size(); ++i) {
      x = run_unit(x, net.units[i], level.units[i]);
      if (observer != nullptr) {
        if (device_.is_cuda()) (void)x.flatten()[0].item<float>();  // waits for the device
        (*observer)(i);
      }
    }
    torch::from_blob(logits.data(), {batch, net.classes}).copy_(x);
  }

 private:
  static torch::Device parse_device(const std::string& device) {
    try {
      const torch::Device parsed(device);
      if (parsed.is_cpu()) return parsed;
      if (parsed.is_cuda() && torch::cuda::is_available()) return parsed;
    } catch (const c10::Error&) {
      throw Error(ErrorCode::bad_usage, fmt::format("unknown device \"{}\"", device),
                  "use cpu, cuda or cuda:N");
    }
    throw Error(ErrorCode::unsupported,
                fmt::format("device \"{}\" is not available to this build of LibTorch", device), "use cpu");
  }

  void move(PreparedLevel& level) const {
    for (UnitWeights& w : level.units) {
      for (torch::Tensor* t : {&w.expand.weight, &w.expand.bias, &w.depth.weight, &w.depth.bias,
                               &w.project.weight, &w.project.bias, &w.se_reduce_weight, &w.se_reduce_bias,
                               &w.se_expand_weight, &w.se_expand_bias}) {
        if (t->defined()) *t = t->to(device_);
      }
    }
  }

  const PreparedLevel& active() const {
    if (!active_) throw Error(ErrorCode::bad_usage, "no level is active: prepare() and activate() first");
    return levels_[*active_];
  }

  Supernet net_;
  torch::Device device_;
  std::vector<PreparedLevel> levels_;
  std::optional<std::size_t> active_;
  int threads_ = 1, applied_threads_ = 0;
};

}  // namespace

void register_torch_executor() {
  register_executor("torch",
                    [](const SearchSpace& space, const TensorFile& weights, const std::string& device) {
                      return std::unique_ptr<Executor>(new TorchExecutor(space, weights, device));
                    });
}

}  // namespace dsn
